"""Stores of chunks, which several processes may fill: a folder, a bucket, or one that another process has."""

from backends.chunk_store.stores import (
    MAX_CHUNK_BYTES,
    SHARDS,
    ChunkStore,
    CommittedChunks,
    FolderChunks,
    StoredChunks,
)

__all__ = ["MAX_CHUNK_BYTES", "SHARDS", "ChunkStore", "CommittedChunks", "FolderChunks", "StoredChunks"]

"""Handlers of volumes (version 2) and blobs. Each volume is a folder."""

from __future__ import annotations

import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2 as pb
from support.modal_server.api.service import Handlers

BLOCK = 8 * 1024 * 1024


class VolumeHandlers(Handlers):
    """Storing, listing and removing files."""

    async def volume_get_or_create(self, request: pb.VolumeGetOrCreateRequest) -> pb.VolumeGetOrCreateResponse:
        volume_id = self.state.volumes.get(request.deployment_name)
        if volume_id is None:
            if request.object_creation_type != pb.OBJECT_CREATION_TYPE_CREATE_IF_MISSING:
                raise GRPCError(Status.NOT_FOUND, f"Volume '{request.deployment_name}' not found")
            volume_id = self.state.volumes[request.deployment_name] = self.state.new_id("vo")
            self.state.path("volumes", volume_id).mkdir()
        metadata = pb.VolumeMetadata(version=pb.VOLUME_FS_VERSION_V2, name=request.deployment_name)
        return pb.VolumeGetOrCreateResponse(volume_id=volume_id, version=metadata.version, metadata=metadata)

    async def volume_get_by_id(self, request: pb.VolumeGetByIdRequest) -> pb.VolumeGetByIdResponse:
        name = next((name for name, found in self.state.volumes.items() if found == request.volume_id), None)
        if name is None:
            raise GRPCError(Status.NOT_FOUND, f"Volume '{request.volume_id}' not found")
        metadata = pb.VolumeMetadata(version=pb.VOLUME_FS_VERSION_V2, name=name)
        return pb.VolumeGetByIdResponse(volume_id=request.volume_id, metadata=metadata)

    async def volume_delete(self, request: pb.VolumeDeleteRequest) -> Empty:
        name = next(name for name, volume_id in self.state.volumes.items() if volume_id == request.volume_id)
        shutil.rmtree(self.state.path("volumes", self.state.volumes.pop(name)))
        return Empty()

    async def volume_commit(self, _request: pb.VolumeCommitRequest) -> pb.VolumeCommitResponse:
        return pb.VolumeCommitResponse(skip_reload=True)

    async def volume_reload(self, _request: pb.VolumeReloadRequest) -> Empty:
        return Empty()

    async def volume_list_files2(
        self, request: pb.VolumeListFiles2Request
    ) -> AsyncIterator[pb.VolumeListFiles2Response]:
        base = self._path(request.volume_id, "")
        path = self._existing(request.volume_id, request.path)
        found = [path] if path.is_file() else sorted(path.rglob("*") if request.recursive else path.iterdir())
        yield pb.VolumeListFiles2Response(entries=[_describe(item, base) for item in found])

    async def volume_get_file2(self, request: pb.VolumeGetFile2Request) -> pb.VolumeGetFile2Response:
        path = self._existing(request.volume_id, request.path)
        size = path.stat().st_size
        relative = path.relative_to(self.state.path("volumes").resolve()).as_posix()
        urls = [f"{self.state.http_url}/volume/{relative}?block={number}" for number in range(-(-size // BLOCK))]
        return pb.VolumeGetFile2Response(get_urls=urls, size=size, start=0, len=size)

    async def volume_put_files2(self, request: pb.VolumePutFiles2Request) -> pb.VolumePutFiles2Response:
        response = pb.VolumePutFiles2Response()
        for file_index, file in enumerate(request.files):
            if request.disallow_overwrite_existing_files and self._path(request.volume_id, file.path).exists():
                raise GRPCError(Status.ALREADY_EXISTS, f"{file.path}: already exists")
            for block_index, block in enumerate(file.blocks):
                digest = block.contents_sha256.hex()
                if not self.state.path("blocks", digest).exists():
                    url = f"{self.state.http_url}/block/{digest}"
                    response.missing_blocks.add(file_index=file_index, block_index=block_index, put_url=url)
        if not response.missing_blocks:
            for file in request.files:
                self._store(request.volume_id, file)
        return response

    async def volume_remove_file2(self, request: pb.VolumeRemoveFile2Request) -> Empty:
        path = self._existing(request.volume_id, request.path)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        return Empty()

    async def blob_create(self, _request: pb.BlobCreateRequest) -> pb.BlobCreateResponse:
        blob_id = self.state.new_id("bl")
        urls = pb.UploadUrlList(items=[f"{self.state.http_url}/blob/{blob_id}"])
        return pb.BlobCreateResponse(blob_ids=[blob_id], upload_urls=urls)

    async def blob_get(self, request: pb.BlobGetRequest) -> pb.BlobGetResponse:
        return pb.BlobGetResponse(download_url=f"{self.state.http_url}/blob/{request.blob_id}")

    def _store(self, volume_id: str, file: pb.VolumePutFiles2Request.File) -> None:
        path = self._path(volume_id, file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = (self.state.path("blocks", block.contents_sha256.hex()).read_bytes() for block in file.blocks)
        whole = (block.ljust(BLOCK, b"\0") for block in blocks)  # the client leaves out zeros at the end of a block
        path.write_bytes(b"".join(whole)[: file.size])

    def _existing(self, volume_id: str, name: str) -> Path:
        path = self._path(volume_id, name)
        if not path.exists():
            raise GRPCError(Status.NOT_FOUND, f"{name}: no such file or directory")
        return path

    def _path(self, volume_id: str, name: str) -> Path:
        base = self.state.path("volumes", volume_id).resolve()
        path = (base / name.lstrip("/")).resolve()
        if not path.is_relative_to(base):
            raise GRPCError(Status.INVALID_ARGUMENT, "path leaves the volume")
        return path


def _describe(path: Path, base: Path) -> pb.FileEntry:
    """Return the entry of a file, a folder or a link, which is not followed."""
    found = path.lstat()
    kinds = {stat.S_IFDIR: pb.FileEntry.DIRECTORY, stat.S_IFREG: pb.FileEntry.FILE, stat.S_IFLNK: pb.FileEntry.SYMLINK}
    return pb.FileEntry(
        path=path.relative_to(base).as_posix(),
        size=found.st_size,
        mtime=int(found.st_mtime),
        type=kinds.get(stat.S_IFMT(found.st_mode), pb.FileEntry.UNSPECIFIED),
    )

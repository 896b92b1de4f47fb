"""Renders scenes as a worker does: ORDERS.json, a list of renders; prints one line of JSON for each.

Manim is imported once; each scene runs in a fork of its own, in the current folder. The keys of an order are in
``renders.order_render``.
"""

import json
import os
import pickle
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backends import debug_log
from backends.chunk_store import FolderChunks
from renderer import engine
from renderer.engine.request import ShardPlace
from renderer.model import EncoderChoice, EncoderSettings, RenderSettings


def make_request(order: dict[str, Any]) -> engine.SceneRequest:
    folder = Path(order["folder"])
    (folder / "hashes").mkdir(parents=True)
    return engine.SceneRequest(
        file=Path(order["file"]),
        scene=order["scene"],
        output=folder / "out",
        scratch=folder / "scratch",
        settings=RenderSettings(**order["settings"]),
        encoder=EncoderSettings(preset=order["preset"]),
        choice=EncoderChoice(**order["choice"]) if order.get("choice") else None,
        chunk_frames=order.get("chunk_frames"),
        frame_hashes=None if order.get("cache") else folder / "hashes",
        cache=open_cache(order) if order.get("cache") else None,
        shard=make_place(*order["shard"]) if order.get("shard") else None,
    )


def make_place(index: int, count: int, folder: str) -> ShardPlace:
    return ShardPlace(index, count, FolderChunks(Path(folder)))


def open_cache(order: dict[str, Any]) -> engine.ChunkCache | None:
    try:
        key_file = Path(order.get("cache_key", f"{order['cache']}.key"))
        return engine.open_chunk_cache(Path(order["cache"]), order.get("cache_mib", 100), key_file)
    except (OSError, ValueError) as error:
        print(error)  # noqa: T201  # the test reads it
        return None


def run(order: dict[str, Any]) -> dict[str, Any]:
    progress: list[tuple[int, int | None]] = []
    debug_log.configure(order.get("log"))
    try:
        slots = engine.ProcessSlots(order["slots"])
        report = engine.render(
            make_request(order), slots=slots, progress=lambda done, total: progress.append((done, total))
        )
    except BaseException as error:  # noqa: BLE001  # the test checks it
        traceback.print_exc()
        return {
            "error": type(error).__name__,
            "text": str(error),
            "hint": getattr(error, "hint", None),
            "lines": getattr(error, "lines", None) or traceback.format_exc(),
        }
    return {
        "mode": report.mode,
        "why": report.why_serial,
        "frames": report.frames,
        "cached": report.cached,
        "plays": [asdict(play) for play in report.plays],
        "outputs": [str(path) for path in report.outputs],
        "encoder": dict(report.encoder),
        "progress": progress,
        "shards": report.shards,
    }


if __name__ == "__main__":
    engine.warm_up()
    for order in json.loads(Path(sys.argv[1]).read_text()):
        read, write = os.pipe()
        if not (child := os.fork()):
            Path(order["folder"]).mkdir(parents=True)
            os.environ |= order.get("environ", {})
            log = os.open(Path(order["folder"]) / "log", os.O_CREAT | os.O_WRONLY)
            os.dup2(log, 1)
            os.dup2(log, 2)
            with os.fdopen(write, "wb") as stream:
                pickle.dump(run(order), stream)
            sys.stdout.flush()
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as answer:
            data = answer.read()
        os.waitpid(child, 0)
        print(json.dumps(pickle.loads(data) if data else {"error": "ended"}), flush=True)  # noqa: S301, T201

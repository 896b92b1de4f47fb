"""Has the engine's monitor read what a process sends, TEXT and then its end, and prints why it stops the render."""

import os
import sys
from pathlib import Path

from renderer.engine.abort import Unfit
from renderer.engine.parallel.monitor import Monitor
from renderer.engine.parallel.play import Chunk, ChunkedPlay, PlayIdentity

if __name__ == "__main__":
    chunk = Chunk(0, 0, 5, Path("chunk.mp4"), final=True)
    play = ChunkedPlay(identity=PlayIdentity(3, "00003", Path("play.mp4")), start=0.0, chunks=[chunk])
    read, write = os.pipe()
    if not (pid := os.fork()):
        os.write(write, sys.argv[1].encode())
        os._exit(0)
    os.close(write)
    monitor = Monitor(None)
    monitor.add(pid, read, play, chunk)
    try:
        monitor.wait_for_all()
    except Unfit as unfit:
        print(unfit)  # noqa: T201

"""Scenes that leave something running: processes, threads, event loops, exit functions."""

import asyncio
import atexit
import multiprocessing
import os
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from helpers import cube, write
from manim import Create, Scene, Square


def made(name):
    """Return the path of a file that the scene leaves."""
    return os.path.join(os.environ.get("RENDERER_OUTPUT_DIR", "."), name)


class Pools(Scene):
    """Opens pools when everything is played, and closes none."""

    def construct(self):
        self.play(Create(Square()), run_time=0.3)
        self.pool = multiprocessing.get_context("fork").Pool(1)
        print("said", self.pool.map(cube, range(3)))
        self.executor = ProcessPoolExecutor(1)
        print("said", self.executor.submit(cube, 3).result())
        self.executor.submit(write, made("by_executor.txt"))


class Spawned(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.3)
        spawn = multiprocessing.get_context("spawn")
        self.executor = ProcessPoolExecutor(1, mp_context=spawn)
        print("said", self.executor.submit(cube, 3).result())
        self.daemon = multiprocessing.Process(target=time.sleep, args=(1000,), daemon=True)
        self.daemon.start()
        self.process = multiprocessing.Process(target=write, args=(made("by_process.txt"),))
        self.process.start()
        self.manager = multiprocessing.Manager()
        self.shared = self.manager.dict()


class Threads(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.3)
        self.executor = ThreadPoolExecutor(1)
        self.executor.submit(write, made("by_executor.txt"))
        threading.Thread(target=write, args=(made("by_thread.txt"),)).start()
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        self.child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)


class Functions(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.3)
        atexit.register(print, "said at exit")
        atexit.register(Path(made("at_exit.txt")).write_text, "done")
        atexit.register(lambda: 1 / 0)
        threading.Timer(0.2, print, args=("said by a thread",)).start()
        self.folder = tempfile.TemporaryDirectory(dir=".")
        self.file = open(made("open.txt"), "w")
        self.file.write("not flushed")


class Fails(Scene):
    """Fails with a pool and a thread open."""

    def construct(self):
        self.play(Create(Square()), run_time=0.3)
        self.executor = ProcessPoolExecutor(1)
        print("said", self.executor.submit(cube, 2).result())
        threading.Thread(target=write, args=(made("by_thread.txt"),)).start()
        raise ValueError("wrong data")


class Forks(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.3)
        if not os.fork():
            Path(made("by_child.txt")).write_text("done")
            raise SystemExit
        os.wait()


class Early(Scene):
    """Opens everything before its play, so that the parallel attempt is abandoned."""

    def construct(self):
        with open(made("begun.txt"), "a") as file:
            file.write("once\n")
        Path(made(f"by_{os.getpid()}.txt")).write_text("done")
        atexit.register(print, "said at exit")
        threading.Thread(target=write, args=(made(f"late_{os.getpid()}.txt"),)).start()
        self.executor = ProcessPoolExecutor(1)
        print("said", self.executor.submit(cube, 3).result())
        self.play(Create(Square()), run_time=0.3)

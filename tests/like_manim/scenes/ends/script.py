"""A script that leaves an executor, a thread and an exit function."""

import atexit
import os
import threading
from concurrent.futures import ProcessPoolExecutor

from helpers import cube, write

if __name__ == "__main__":
    executor = ProcessPoolExecutor(1)
    print("said", executor.submit(cube, 3).result(), flush=True)
    threading.Thread(target=write, args=(os.path.join(os.environ.get("RENDERER_OUTPUT_DIR", "."), "late.txt"),)).start()
    atexit.register(print, "said at exit")

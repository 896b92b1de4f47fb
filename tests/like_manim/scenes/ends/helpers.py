"""What the scenes have other processes and threads do."""

import time
from pathlib import Path


def cube(n):
    return n**3


def write(name):
    time.sleep(0.3)
    Path(name).write_text("done")

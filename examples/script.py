"""Any Python program can be a job. The files that it leaves are its outputs, what it prints is its log."""

import argparse
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--size", type=int, default=400, help="pixels on a side")
size = parser.parse_args().size

rows = []
for y in range(size):
    row = bytearray()
    for x in range(size):
        c, z, steps = complex(3 * x / size - 2.2, 3 * y / size - 1.5), 0j, 0
        while abs(z) < 2 and steps < 60:
            z, steps = z * z + c, steps + 1
        row.append(255 - 4 * steps)
    rows.append(bytes(row))
    print(f"openjd_progress: {100 * (y + 1) / size:.1f}", flush=True)

target = Path("mandelbrot.pgm")
target.write_bytes(b"P5 %d %d 255\n" % (size, size) + b"".join(rows))
print(f"wrote {target.name}")

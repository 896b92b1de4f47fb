"""Runs the doctor without the command line's dependencies: ``python3 -m renderer.doctor [--json]``."""

from __future__ import annotations

import sys

from renderer.doctor import examine
from renderer.doctor.report import report

if __name__ == "__main__":
    sys.exit(report(examine(), as_json="--json" in sys.argv[1:]))

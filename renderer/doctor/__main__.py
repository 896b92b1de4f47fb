"""Runs the checks without the packages that the command line needs: ``python3 -m renderer.doctor [--json]``."""

from __future__ import annotations

import sys

from renderer.doctor import run_checks
from renderer.doctor.report import print_report

if __name__ == "__main__":
    sys.exit(print_report(run_checks(), as_json="--json" in sys.argv[1:]))

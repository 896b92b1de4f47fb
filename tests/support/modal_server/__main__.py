"""``.venv/bin/python tests/support/modal_server COMMAND …`` runs a command, or a shell, against the fake Modal.

$ .venv/bin/python tests/support/modal_server renderer submit examples/hello.py --backend modal
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run the command; return its exit code."""
    sys.path[0] = str(Path(__file__).parents[2])  # the folder above, in which this is a package
    from support.modal_server import FakeModal

    own = {key: value for key, value in os.environ.items() if not key.startswith("MODAL_")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = sys.argv[1:] or [os.environ.get("SHELL", "/bin/sh")]
    with FakeModal() as fake:
        try:
            return subprocess.run(command, env={**own, "PATH": path, **fake.environment}, check=False).returncode
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())

"""A loopback double of the Modal API: the real ``modal`` client talks to it, and functions really run.

It speaks the protocol of the pinned client through that client's own message classes, so a field that the protocol
does not have cannot be used. Containers are processes of this machine that run the client's own entry point in a mount
namespace with the function's volumes under their mount paths and this environment as /opt/venv. What it cannot show:
Modal's scheduler, its image builder, a GPU, and every behaviour of Modal's servers that nobody wrote down.
"""

from support.modal_server.faults import Faults
from support.modal_server.server import ModalDouble

__all__ = ["Faults", "ModalDouble"]

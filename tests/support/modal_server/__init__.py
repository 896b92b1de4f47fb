"""A fake Modal server on loopback: the real ``modal`` client talks to it, and functions really run.

It speaks the protocol of the pinned client through that client's own message classes, so it cannot use a field that
the protocol does not have. Containers are processes of this machine that run the client's own entry point. Their mount
namespace has the function's volumes at their mount paths and this environment as /opt/venv. The fake cannot show
Modal's scheduler, its image builder, a GPU, and any behaviour of Modal's servers that is not documented.

``server`` starts it, ``state`` is what it knows, ``faults`` what goes wrong when a test says so.
"""

from support.modal_server.faults import Faults
from support.modal_server.server import FakeModal

__all__ = ["FakeModal", "Faults"]

"""Jobs at Modal: one function, deployed once, that runs the worker on a GPU. Imports ``modal`` only when it is used."""

from backends.modal.backend import ModalBackend
from backends.modal.request import ModalRequest

__all__ = ["ModalBackend", "ModalRequest"]

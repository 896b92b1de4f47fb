"""Jobs on this machine: a folder holds each, a supervisor process watches over it, any shell can look."""

from backends.local.backend import LocalBackend, LocalRequest

__all__ = ["LocalBackend", "LocalRequest"]

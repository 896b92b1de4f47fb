"""Runs jobs in containers on this machine, with docker or podman: like a local job, but the worker is in the image."""

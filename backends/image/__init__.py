"""The files that a container image is built from."""

"""Builds, names, pushes and checks the container image."""

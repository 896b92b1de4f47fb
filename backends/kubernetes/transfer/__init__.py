"""Moves inputs and outputs between this machine, pods, PVCs and object stores."""

"""Moves inputs and outputs between this machine, pods, claims and object stores."""

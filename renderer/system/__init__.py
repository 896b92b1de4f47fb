"""Reads facts about this machine: cores, memory, GPUs, and what other programs print."""

"""What this machine offers: programs, limits, GPUs."""

"""Information about this machine and its programs: cores, memory, GPUs, output of other programs."""

"""The known GPUs, and the syntax of ``--gpu``; the same for all backends."""

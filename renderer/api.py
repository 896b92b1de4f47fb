"""The library's verbs; the command line calls these and nothing else."""

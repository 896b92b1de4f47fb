"""GPUs by name: one table and one grammar, for every backend."""

"""GPUs by name: one table and one grammar for all backends."""

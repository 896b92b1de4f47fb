"""Runs jobs on this machine. Each job is a folder, which any shell can read, and a supervisor process."""

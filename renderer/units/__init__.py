"""Which units a job has: reads the file, and asks it about scenes that it makes as it runs."""

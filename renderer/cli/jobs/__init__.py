"""Commands for jobs that were submitted."""

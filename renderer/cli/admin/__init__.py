"""Commands for set-up, diagnosis and housekeeping."""

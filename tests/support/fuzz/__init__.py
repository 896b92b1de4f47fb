"""Random damage to each format that comes from a job. Each target raises AssertionError if a promise is broken."""

"""Reads the state, the logs and the results of calls of the function at Modal."""

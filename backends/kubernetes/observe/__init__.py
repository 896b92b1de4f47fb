"""Reads the state and the logs of a Job, and explains them."""

"""Reads the state and the logs of jobs, and the reasons why they wait or failed."""

"""Runs inside the containers of a job."""

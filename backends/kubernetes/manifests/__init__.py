"""Turns a job into Kubernetes objects."""

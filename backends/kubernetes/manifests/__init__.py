"""Builds the Kubernetes objects of a job, without network access."""

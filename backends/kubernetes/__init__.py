"""Runs jobs on a Kubernetes cluster. The package ``pod`` runs in the job's container, all others in the client."""

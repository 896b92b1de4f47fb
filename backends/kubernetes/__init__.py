"""Jobs on a Kubernetes cluster. ``pod`` runs inside the job's container, everything else where the user is."""

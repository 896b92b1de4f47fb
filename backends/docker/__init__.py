"""Jobs in a container of this machine's docker or podman: a local job whose worker runs in the image."""

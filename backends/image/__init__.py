"""What a container image is built from."""

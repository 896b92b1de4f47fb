"""How processes begin, fork, share files, and end."""

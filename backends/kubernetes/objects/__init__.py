"""Jobs and pods as the API server returns them, reduced to what the backend reads."""

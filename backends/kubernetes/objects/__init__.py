"""Types for the Jobs and pods that the API server returns, with only the fields that the backend reads."""

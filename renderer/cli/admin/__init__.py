"""Commands that set up, check and clean up."""

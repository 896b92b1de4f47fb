"""Deploys the function that runs the worker at Modal."""

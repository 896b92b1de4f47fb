"""Deploys the function that renders."""

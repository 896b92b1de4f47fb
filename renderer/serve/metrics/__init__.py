"""Figures about jobs for Prometheus."""

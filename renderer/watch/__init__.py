"""Renders scenes again each time that a file of their project is saved."""

"""Keeps encoded chunks from render to render, and finds them by what their frames show."""

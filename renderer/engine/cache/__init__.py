"""Keeps encoded chunks from render to render, under keys made of everything that their frames show."""

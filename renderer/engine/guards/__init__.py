"""Detects what a scene does that a parallel render cannot reproduce."""

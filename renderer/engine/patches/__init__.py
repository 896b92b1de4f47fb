"""Faster versions of functions of Manim that return exactly the same, bit for bit."""

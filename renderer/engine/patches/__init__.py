"""Faster versions of functions of Manim, with the same results, bit for bit."""

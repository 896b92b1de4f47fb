"""Render Manim scenes and Python scripts on this machine, on Kubernetes or on Modal."""

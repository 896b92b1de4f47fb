"""Workers that import Manim first, and then wait for jobs."""

"""Everything that reads or replaces Manim's own objects."""

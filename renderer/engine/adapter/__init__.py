"""Everything that reads or replaces Manim's own objects: configuration, renderer, camera, keys, encoder settings."""

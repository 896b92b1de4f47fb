"""The modules that read or replace Manim's own objects: configuration, renderer, camera, keys, encoder settings."""

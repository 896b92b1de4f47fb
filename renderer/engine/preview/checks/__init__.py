"""Finds what is hard to see in a scene's frames: texts that overlap, are too small, pale, or outside of the frame."""

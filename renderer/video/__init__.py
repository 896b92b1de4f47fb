"""Chooses the video encoder: NVENC where it really opens, x264 elsewhere, and says why."""

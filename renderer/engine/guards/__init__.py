"""Guards that notice what a scene does that a parallel render cannot reproduce, and stop the parallel render."""

"""Guards that stop a parallel render when the scene does something that it cannot reproduce."""

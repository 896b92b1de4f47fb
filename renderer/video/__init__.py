"""Video encoding: which encoder to use, the encoders themselves, and the joining of files without encoding again."""

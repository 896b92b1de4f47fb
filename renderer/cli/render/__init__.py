"""Commands that start from a file: submit it, list its scenes, print its manifest."""

"""Runs functions in containers, which are processes of this machine."""

"""Renders one scene in parallel: plans the chunks of each play, forks their processes, and checks what they report."""

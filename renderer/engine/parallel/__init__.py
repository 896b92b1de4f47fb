"""Renders one scene with many processes: one steps the scene, and forks one for each chunk of each play.

``plan`` divides plays into chunks, ``scheduler`` steps the scene, ``forker`` forks the processes, ``monitor`` reads
their ``messages``; ``chunk_renderer`` and ``play_encoder`` run in the forked processes.
"""

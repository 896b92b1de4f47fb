"""Renders one scene with many processes: one process steps the scene, and forks another for each chunk of each play.

``plan`` divides plays into chunks, ``scheduler`` steps the scene, ``forker`` forks the processes, ``monitor`` reads
their ``messages``; ``chunk_renderer`` and ``play_encoder`` run in the forked processes. From some play on the
scheduler may have to draw by itself, with ``own_encoder``.
"""

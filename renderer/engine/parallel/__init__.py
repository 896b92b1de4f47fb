"""Renders one scene with many processes: one steps the scene, and forks one for each chunk of each play.

``scheduler`` divides plays into chunks, ``forker`` forks the processes, ``monitor`` reads their ``messages``;
``chunk_renderer`` and ``play_encoder`` run in the forked processes.
"""

"""Runs units of a job: the same program on this machine, in a Kubernetes pod and in a Modal container.

``python -I -m renderer.worker`` unpacks the bundle, renders each unit in a child process and writes for each
``OUTPUT/INDEX/files/…``, ``log.txt`` and, last, ``result.json`` (see backends.worker_protocol).
"""

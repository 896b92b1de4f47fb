"""Isolates untrusted local jobs: the sandbox, the processes that guard it, and what their streams carry."""

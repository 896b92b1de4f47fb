"""Reads jobs and their pods: states, reasons, logs."""

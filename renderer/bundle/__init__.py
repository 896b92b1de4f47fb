"""Packs the files of a job into one archive, the same bytes for the same content."""

"""Answers the requests of Modal's client: one file for each kind of object, and the HTTP side for bytes."""

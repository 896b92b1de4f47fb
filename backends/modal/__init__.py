"""Runs jobs at Modal: one function, deployed once, that runs the worker on a GPU. Imports ``modal`` only on use.

A submit goes through ``request`` (the plan: pure), ``deploy.deployment`` (is the function there and current? if not, a
process of its own runs ``deploy.deploy_script``), ``volume`` (inputs) and ``spawn`` (the call). At Modal,
``deploy.render_function`` runs the worker. Afterwards ``calls`` asks Modal, ``observe`` makes states, outcomes and log
lines of the answers, and ``call_store`` remembers them. ``session`` limits every call in time, ``errors`` translates.
"""

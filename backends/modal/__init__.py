"""Jobs at Modal: one function, deployed once, that runs the worker on a GPU. Imports ``modal`` only when it is used.

A submit goes through ``request`` (the plan: pure), ``deployment`` (is the function there and current? if not,
``deploy`` in a process of its own, with the ``image``), ``volume`` (inputs) and ``spawn`` (the call). At Modal,
``render_function`` runs the worker. Afterwards ``calls`` asks Modal, ``outcomes`` and ``status`` put what it says into
words, ``logs`` reads lines, ``record`` remembers. ``session`` bounds every call in time, ``errors`` translates.
"""

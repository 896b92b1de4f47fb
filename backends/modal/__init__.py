"""Jobs at Modal: one function, deployed once, that runs the worker on a GPU. Imports ``modal`` only when it is used."""

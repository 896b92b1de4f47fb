"""The shared cache: chunks and formulas that several machines keep in one store, behind each machine's own cache."""

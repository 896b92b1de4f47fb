"""Typesets formulas on idle cores before the scene asks for them."""

"""The HTTP API: its routes, and what they share with the pages and the tools of agents."""

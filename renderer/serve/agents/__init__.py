"""Tools for agents, by the Model Context Protocol: check, preview and render scenes, and see what came of it."""

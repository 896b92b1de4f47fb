"""Several processes render one scene: each draws its share, and the last one joins what all have drawn."""

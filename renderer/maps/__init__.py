"""Maps: one file that runs once for each of many inputs, as one job whose units are the inputs."""

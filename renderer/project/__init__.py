"""The user's project: the folder that a job gets, and where its modules lie. Only reads files, runs none."""

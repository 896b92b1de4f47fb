"""`renderer serve`: an HTTP API and a page for the jobs of the backends.

State stays in the backends. What must be kept beside (who owns a job, its files for a retry) is a folder for each job
in this user's state folder: see records. The routes are in ``api`` and ``page``; ``app`` puts them together.
"""

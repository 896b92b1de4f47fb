"""The code that runs inside the containers of a job and of transfer pods."""

"""A supervisor that is started before its job exists: the side of the command, and that of the supervisor."""

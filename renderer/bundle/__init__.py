"""The bundle: the files of a job in one archive. Equal content gives equal bytes."""

"""The chunk cache: keeps encoded chunks for later renders. Their keys cover everything that their frames show."""

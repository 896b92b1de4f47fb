"""Processes of a render: forking a scene in the middle of a play, slots, the fallback process, output, exit."""

"""The processes of one scene: how they are forked, limited by slots, started again, and ended; what they print."""

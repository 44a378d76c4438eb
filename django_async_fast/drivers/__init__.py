"""How each database driver waits on the event loop, and how its results are read."""

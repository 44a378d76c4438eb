"""How a database driver waits on the event loop."""

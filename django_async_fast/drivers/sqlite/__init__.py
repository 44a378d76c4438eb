"""SQLite on the event loop, without a thread: a call takes microseconds."""

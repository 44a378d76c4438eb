"""psycopg 3 on the event loop: how it waits, and how its results are read."""

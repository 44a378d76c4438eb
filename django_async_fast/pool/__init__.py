"""psycopg's connection pool, one for each event loop and alias."""

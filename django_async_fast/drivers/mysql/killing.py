"""A statement of MySQL's or MariaDB's is ended from another connection."""

from collections.abc import Callable
from typing import Any


def kill_statement(open_one: Callable[[], Any], thread_id: int) -> None:
    """End what the connection of the server's `thread_id` runs; in any thread.

    The transaction goes on. Too late for the statement, it may end the next one.
    """
    connection = open_one()
    try:
        connection.query(f"KILL QUERY {thread_id:d}".encode())
    finally:
        connection.close()


def take_late_kill(raw: Any) -> None:
    """Be the next statement, which a late `kill_statement()` ends."""
    raw.query(b"DO 0")

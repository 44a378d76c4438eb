"""Whether a block's connection can be used: it is open, and this process's."""

from typing import Any

from django.db import InterfaceError, OperationalError

OF_PARENT = (
    "This connection belongs to the process that this one was forked from. Open a "
    "block of its own here: `async with new_connection():`."
)


def check_usable(connection: Any) -> None:
    """Raise OperationalError for a parent's connection, InterfaceError if closed."""
    if connection.inherited:
        raise OperationalError(OF_PARENT)
    if connection.closed:
        raise InterfaceError(f"The connection to '{connection.gate.alias}' is closed.")

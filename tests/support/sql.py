"""SQL on a connection of synchronous code."""

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections


def execute(sql: str, params: Any = None, using: str = DEFAULT_DB_ALIAS) -> list[Any]:
    """Return the rows of a statement, if it has some."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []

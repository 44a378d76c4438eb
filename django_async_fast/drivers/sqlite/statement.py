"""A query whose rows are wanted whole, run without Django's cursor around sqlite3's.

They are tuples, for the core (`native/converters.pxi`).
"""

import sqlite3
from functools import lru_cache
from typing import Any

from django.db.backends.sqlite3.base import (
    FORMAT_QMARK_REGEX,
    DatabaseWrapper,
    SQLiteCursorWrapper,
)

from ..unwatched import Cursors
from .connection import Connection
from .statement_kinds import StatementKind, kind_of

_CURSORS = Cursors(DatabaseWrapper, SQLiteCursorWrapper)


@lru_cache(maxsize=1000)
def _read(sql: str) -> tuple[str, StatementKind]:
    """Return a statement of Django's as sqlite3 wants it, and what it does."""
    sql = FORMAT_QMARK_REGEX.sub("?", sql).replace("%%", "%")
    return sql, kind_of(sql)


def rows(wrapper: Any, sql: str, params: Any) -> list[Any] | None:
    """Return all rows of a query, None where a cursor is to run it.

    Raises Django's errors.
    """
    sql, kind = _read(sql)
    if kind is not StatementKind.READ or (raw := _unobserved(wrapper)) is None:
        return None
    if wrapper.needs_rollback:
        wrapper.validate_no_broken_transaction()
    try:
        if type(raw) is Connection:
            return raw.run(kind, sql, _fetch, raw, sql, params)
        return _fetch(raw, sql, params)
    except Exception:
        # Made for each connection; most never need it.
        with wrapper.wrap_database_errors:
            raise


def _fetch(raw: Any, sql: str, params: Any) -> list[Any]:
    return sqlite3.Cursor(raw).execute(sql, params).fetchall()


def _unobserved(wrapper: Any) -> Any:
    """Return the open connection if the statement may skip the cursor, else None."""
    raw = _CURSORS.connection(wrapper)
    own = type(raw) is Connection or type(raw) is sqlite3.Connection
    return raw if own and raw.row_factory is None else None

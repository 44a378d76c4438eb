"""Whether the core may read the rows of a cursor that Django would fetch from it.

Tools hook in where rows are fetched, too: in psycopg's classes, in one of their own, or
in a proxy around a cursor. They are called as Django calls them.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.backends.utils import CursorWrapper
from django.db.models.sql.constants import GET_ITERATOR_CHUNK_SIZE
from psycopg.rows import tuple_row

from ...unpatched import Unpatched


class Fetch(NamedTuple):
    """How Django fetches the rows of an executed cursor: what it calls, and that."""

    names: tuple[str, ...]
    rows: Callable[[Any], list[Any]]


def _in_chunks(cursor: Any) -> list[Any]:
    rows: list[Any] = []
    # Of MySQLdb's there is no list at the end, but a tuple.
    while found := cursor.fetchmany(GET_ITERATOR_CHUNK_SIZE):
        rows += found
    return rows


OF_QUERYSETS = Fetch(("fetchmany", "close"), _in_chunks)


def _one(cursor: Any) -> list[Any]:
    row = cursor.fetchone()
    return [] if row is None else [row]


# `count()`, `exists()` and other queries for one row.
OF_ONE = Fetch(("fetchone", "close"), _one)
OF_RAW = Fetch(("__iter__",), list)
if hasattr(BaseDatabaseOperations, "fetch_returned_rows"):
    OF_INSERTS = Fetch(("fetchall", "close"), lambda cursor: list(cursor.fetchall()))
else:  # before Django 6.0
    OF_INSERTS = Fetch(("fetchone", "close"), lambda cursor: [cursor.fetchone()])

_ATTRIBUTES = "__getattr__", "__getattribute__"


# Some tools make a class for each connection.
@lru_cache(maxsize=64)
def _unpatched(kind: Any, base: Any, names: tuple[str, ...]) -> Unpatched:
    return Unpatched((kind, base, names))


def readable(cursor: Any, how: Fetch = OF_QUERYSETS) -> Any:
    """Return the psycopg cursor inside Django's whose rows may be read in its place.

    None where what fetches them is not Django's and psycopg's own, and where rows are
    not to be tuples.
    """
    names = how.names
    while isinstance(cursor, CursorWrapper):
        if not _is_own(cursor, CursorWrapper, (*names, *_ATTRIBUTES)):
            return None
        cursor = cursor.cursor
    if not isinstance(cursor, psycopg.Cursor) or cursor.row_factory is not tuple_row:
        return None
    server_side = isinstance(cursor, psycopg.ServerCursor)
    base = psycopg.ServerCursor if server_side else psycopg.Cursor
    return cursor if _is_own(cursor, base, names) else None


def _is_own(cursor: Any, base: Any, names: tuple[str, ...]) -> bool:
    kind: Any = type(cursor)
    own = getattr(cursor, "__dict__", {}).keys()
    return own.isdisjoint(names) and _unpatched(kind, base, names).holds()

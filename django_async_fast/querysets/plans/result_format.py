"""Which types the columns of a query have, where they have been seen before.

A query that has been sent is never sent again, so its result is asked for in binary
only where each type is known, and read by the core, before it is sent. What has not
been seen is asked for as text, which psycopg reads whatever it is, and is known then.

Key: a model's column by alias, table and name; another expression by its SQL, the
classes of its parameters and the tables that its names mean. Bound: `SEEN`, then
all is forgotten; a miss costs a result in text. What has changed on the server since
(ALTER TABLE, a table of another schema) is converted when it comes
(`drivers/psycopg/results.py`), and is text from then on.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models.expressions import Col

SEEN = 10_000

# By key: the type's OID, or one of these.
ONLY_TEXT = 0
HAS_CHANGED = -1
_seen: dict[Any, int] = {}


class Types:
    """The types of one query's columns."""

    __slots__ = ("_keys", "oids")

    def __init__(self, keys: list[Any]) -> None:
        self._keys = keys
        # Their OIDs, None while the result has to be text.
        self.oids = _all_known(keys)

    def learn(self, oids: Iterable[int], known: Callable[[int], bool]) -> None:
        """Take note of the types in a result that came as text.

        `known` tells whether the core reads a type from binary.
        """
        if len(_seen) > SEEN:
            _seen.clear()
        for key, oid in zip(self._keys, oids, strict=False):
            if _seen.get(key) != HAS_CHANGED:
                _seen[key] = oid if known(oid) else ONLY_TEXT
        self.oids = _all_known(self._keys)

    def has_changed(self, column: int) -> None:
        """Ask for text from now on: a column has come with another type."""
        _seen[self._keys[column]] = HAS_CHANGED
        self.oids = None

    def forget(self) -> None:
        """Ask for text the next time: the tables are not as they were."""
        for key in self._keys:
            _seen.pop(key, None)
        self.oids = None

    def why_text(self, column: int) -> str:
        """Return why `column` keeps its query's result in text, or ''."""
        if not self._keys:
            return "the types of a combined query are known when it has run"
        oid = _seen.get(self._keys[column])
        if oid is None:
            return "its type is known when it has been read once"
        if oid == HAS_CHANGED:
            return "its type has changed"
        return "its type is only read as text" if oid == ONLY_TEXT else ""


def types_of(compiler: Any) -> Types:
    """Return the types of a compiled query's columns."""
    query = compiler.query
    if query.combinator:
        return Types([])  # of both sides, and SQL's rules
    alias, tables = compiler.using, None
    keys: list[Any] = []
    for expression, (sql, params), _ in compiler.select[: compiler.col_count]:
        if type(expression) is Col:
            column = expression.target
            keys.append((alias, column.model._meta.db_table, column.column))
        else:
            tables = tables or _tables(query)
            keys.append((alias, tables, sql, *map(type, params)))
    return Types(keys)


def _tables(query: Any) -> tuple[Any, ...]:
    """Return which table each name of a query's FROM means."""
    if (inner := getattr(query, "inner_query", None)) is not None:
        # It selects columns of a subquery.
        return *_tables(inner), repr(inner.annotation_select)
    named = [(name, table.table_name) for name, table in query.alias_map.items()]
    return *named, *query.extra_tables


def _all_known(keys: list[Any]) -> tuple[int, ...] | None:
    oids = tuple([_seen.get(key, ONLY_TEXT) for key in keys])
    return oids if oids and min(oids) > ONLY_TEXT else None

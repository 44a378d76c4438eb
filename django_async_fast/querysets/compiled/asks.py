"""What Django compiles when it is asked for rows, a count, whether there is a row.

Each returns the compiler, SQL and its parameters of a queryset with that query.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections

from . import compilers
from .keys import Refused
from .paths import PATH


def rows(queryset: Any, query: Any, alias: str) -> tuple[Any, str, Any]:
    compiler = query.get_compiler(alias)
    sql, params = compiler.as_sql()
    return compiler, sql, params


def exists(queryset: Any, query: Any, alias: str) -> tuple[Any, str, Any]:
    return rows(queryset, query.exists(), alias)


class _Recorded(Exception):
    """Instead of executing: the compiler that would have."""


def count(queryset: Any, query: Any, alias: str) -> tuple[Any, str, Any]:
    return _recorded(alias, lambda: query.get_count(alias))


def aggregate(
    queryset: Any, query: Any, alias: str, function: Any, args: Any, kwargs: Any
) -> tuple[Any, str, Any]:
    new = object.__new__(type(queryset))
    new.__dict__ = {**queryset.__dict__, "_query": query, "_db": alias}
    new.__dict__.pop(PATH, None)
    return _recorded(alias, lambda: function(new, *args, **kwargs))


def _recorded(alias: str, run: Callable[[], Any]) -> tuple[Any, str, Any]:
    """Return the compiler that `run` would execute, and its statement."""

    def record(compiler: Any) -> None:
        def execute_sql(*args: Any, **kwargs: Any) -> Any:
            raise _Recorded(compiler)

        compiler.execute_sql = execute_sql

    try:
        with compilers.changed(connections[alias], record):
            run()
        raise Refused("it asks nothing of the database")
    except _Recorded as recorded:
        made = recorded.args[0]
    del made.execute_sql
    sql, params = made.as_sql()
    if made.select is None:
        # The rows of a subquery are counted: what the outer query selects.
        made.select = [
            (each, made.compile(each), name)
            for name, each in made.query.annotation_select.items()
        ]
    return made, sql, params

"""Queries of which nobody can tell how far the server has got with their rows.

Plain ones only read columns of tables, compare and join them. What a function, a row
lock, a cast or arithmetic does when it reaches a row (draw a number, wait, fail) has
to happen when the reader asks for that row. Judged by the text that is sent: whoever
has made it, and however, what is not known to be harmless is not plain.
"""

import re
from collections.abc import Iterable
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

_NAME = r'"[^"\n]+"'
# Django before 6.1 does not quote its own aliases.
_ALIAS = rf"(?:{_NAME}|[A-Z]{{1,2}}[0-9]+)"

# A table, and no other after a comma: it would not be seen.
_TABLE = rf"""
    (?:FROM|INNER\ JOIN|LEFT\ OUTER\ JOIN)\ (?P<table>{_NAME}(?:\.{_NAME})?)
    (?:\ {_ALIAS})?+ (?=\ (?:INNER|LEFT|ON|WHERE|ORDER|LIMIT|OFFSET)\b|\)|$)
"""
# A column. A name before parentheses is a function's.
_COLUMN = rf"{_ALIAS}(?:\.(?P<column>{_NAME}))?+(?:::text)?+(?!\s*\()"

# A subquery has no error for too many rows where it is only looked into.
_WORDS = (
    *("AND", "OR", "NOT", "AS", "ON", "WHERE", r"IN\ \(SELECT", r"EXISTS\(SELECT"),
    *("IN", r"IS\ NULL", r"IS\ NOT\ NULL", "BETWEEN", "LIKE", "UPPER"),
    *(r"ORDER\ BY", "ASC", "DESC", r"NULLS\ FIRST", r"NULLS\ LAST", "LIMIT", "OFFSET"),
)
_TOKEN = rf"""
    {_TABLE} | (?:{"|".join(_WORDS)})\b | {_COLUMN}
    | %s\b | [0-9]+\b | [<>=]=? | <> | \(  | \)(?!\s*,) | ,
"""
_TOKENS = re.compile(_TOKEN, re.VERBOSE)
_PLAIN = re.compile(
    r"SELECT\ (?:DISTINCT\b)?+"
    rf"(?:\s*+(?:{re.sub('P<(table|column)>', ':', _TOKEN)}))++",
    re.VERBOSE,
)

# Of longer ones (lists of values, as a rule) no two are the same.
_KEPT_LENGTH = 10_000

# Values that the server has read when it has read the statement. Subclasses, too:
# psycopg's integers of a given size.
_VALUES = (str, int, float, Decimal, date, time, timedelta, UUID, bytes, type(None))


class Reads(NamedTuple):
    """What a plain query reads: tables as it names them, and names of columns."""

    tables: tuple[str, ...]
    columns: tuple[str, ...]


def reads(sql: str, params: Iterable[object]) -> Reads | None:
    """Return what a query reads if it is plain, else None."""
    found = (_reads if len(sql) < _KEPT_LENGTH else _reads.__wrapped__)(sql)
    if found is None or not all(isinstance(value, _VALUES) for value in params):
        return None
    if " LIKE " in sql and any(
        isinstance(value, str) and value.endswith("\\") for value in params
    ):
        return None  # such a pattern fails at the first row that gets to its end
    return found


@lru_cache(maxsize=256)
def _reads(sql: str) -> Reads | None:
    if _PLAIN.fullmatch(sql) is None:
        return None
    tokens = [*_TOKENS.finditer(sql)]
    tables = {token["table"] for token in tokens if token["table"]}
    columns = {token["column"][1:-1] for token in tokens if token["column"]}
    return Reads(tuple(tables), tuple(columns))

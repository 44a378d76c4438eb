"""Errors of a COPY that say where they are: in which row or line, and which field."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError

# What the server says beside the error, in whatever language:
# COPY books, line 3, column pages: "three"
_CONTEXT = re.compile(r"^COPY .*?, \S+ (\d+)(?:, \S+ (.*))?", re.DOTALL)


def error(
    kind: type[DatabaseError], unit: str, number: int, field: Any, message: object
) -> DatabaseError:
    """Return an error at a place; `line`, or `row`, and `field` are attributes too."""
    name = getattr(field, "name", field)
    place = f"{unit} {number}" + (f", field '{name}'" if name else "")
    found = kind(f"{place}: {message}")
    found.__dict__.update({unit: number, "field": name})
    return found


@contextmanager
def located(fields: Sequence[Any], unit: str, before: int) -> Iterator[None]:
    """Let Django's errors say where they are, as the server does; with what was before.

    The cause stays psycopg's error.
    """
    try:
        yield
    except DatabaseError as exc:
        said: Any = getattr(exc.__cause__, "diag", None)
        found = _CONTEXT.search((said and said.context) or "")
        if found is None:
            raise
        field = _column(fields, said.column_name or found[2] or "")
        message = said.message_primary
        if said.message_detail:
            message = f"{message} ({said.message_detail})"
        number = int(found[1]) + before
        raise error(type(exc), unit, number, field, message) from exc.__cause__


def _column(fields: Sequence[Any], text: str) -> Any:
    """Return the field whose column a text begins with, or None."""
    for field in fields:
        if text == field.column or text.startswith(f"{field.column}:"):
            return field
    return None

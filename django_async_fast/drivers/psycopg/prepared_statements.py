"""Statements that the server prepares, counted and named by psycopg's own manager.

With `OPTIONS["prepare_threshold"]` psycopg prepares a text that has been executed so
often. A known statement has one text for all of its values, so that it is prepared
(`native/bound_statements.pxi`), where psycopg alone would see another text for each.
"""

import datetime as dt
import re
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any
from uuid import UUID

from psycopg import postgres, pq
from psycopg._preparing import PrepareManager

from . import server_names

_oid = postgres.types.get_oid
UUIDS, DATES, MOMENTS = _oid("uuid"), _oid("date"), _oid("timestamptz")
BOOLS, NUMBERS = _oid("bool"), _oid("numeric")
# psycopg quotes a text, and leaves it to the server what that is, as NULL.
UNKNOWN = 0

_OIDS = {
    str: {UNKNOWN, _oid("text")},
    UUID: {UUIDS},
    dt.date: {DATES},
    dt.datetime: {MOMENTS},
    bool: {BOOLS},
    Decimal: {NUMBERS},
    NoneType: {UNKNOWN},
}

# What the server says of a statement that it did not run: the table has other columns,
# or of other types, than when it was prepared, or nobody has (DISCARD ALL).
_SQLSTATE = pq.DiagnosticField.SQLSTATE
_FUNCTION = pq.DiagnosticField.SOURCE_FUNCTION
_POSITION = pq.DiagnosticField.STATEMENT_POSITION
_CONTEXT = pq.DiagnosticField.CONTEXT
_CHANGED, _MISSING, _UNREADABLE = b"0A000", b"26000", b"42"
_REVALIDATING = b"RevalidateCachedQuery"

_forgets = re.compile(
    rb"\s*(?:DROP|ALTER|ROLLBACK|DISCARD|DEALLOCATE)\b", re.IGNORECASE
).match


class Prepared(PrepareManager):
    """The prepared statements of a session, with names that nobody else gives.

    psycopg's looks at what a statement does to them only the first times.
    """

    def __init__(self) -> None:
        super().__init__()
        self._prepared_idx = server_names.first_prepared()

    def maybe_add_to_cache(self, query: Any, prep: Any, name: bytes) -> Any:
        """Return the key with which `validate()` is to be called, None if it is not."""
        key = super().maybe_add_to_cache(query, prep, name)
        if key is None and self._names and _forgets(query.query):
            return self.key(query)
        return key


def manager_of(raw: Any) -> Prepared:
    """Return the prepared statements of a psycopg connection, begun anew if needed."""
    found = raw._prepared
    if type(found) is Prepared:
        return found
    new = Prepared()
    new.prepare_threshold, new.prepared_max = (
        found.prepare_threshold,
        found.prepared_max,
    )
    found.clear()  # what psycopg has prepared is deallocated
    new._to_flush = found._to_flush
    raw._prepared = new
    return new


def forgotten(manager: Any, bound: Any, name: bytes, result: Any) -> bool:
    """Tell whether a prepared statement was not run, and is to be prepared again."""
    state = result.error_field(_SQLSTATE)
    if state == _MISSING:
        manager._names.pop(manager.key(bound), None)
        return True
    changed = state == _CHANGED and result.error_field(_FUNCTION) == _REVALIDATING
    if changed or _is_of_analysis(state, result):
        manager._names.pop(manager.key(bound), None)
        manager._to_flush.append(name)
        return True
    return False


def _is_of_analysis(state: bytes | None, result: Any) -> bool:
    """Tell whether the server could not read a statement, as columns have other types.

    It has a place in the text then, and none in a function, where it would have run.
    """
    return (
        state is not None  # libpq has none for its own errors
        and state.startswith(_UNREADABLE)
        and result.error_field(_POSITION) is not None
        and result.error_field(_CONTEXT) is None
    )


def is_of_psycopg(dumper: Any) -> bool:
    """Tell whether a class of dumpers is psycopg's, in Python or compiled."""
    package: str = dumper.__module__.partition(".")[0]
    return package in ("psycopg", "psycopg_binary", "psycopg_c")


@cache
def is_psycopgs(kind: type, dumper: Any) -> bool:
    """Tell whether psycopg's own dumper writes values of this class as is done here."""
    if not is_of_psycopg(dumper):
        return False
    if kind in _OIDS:
        return dumper.oid in _OIDS[kind]
    return dumper.__name__ in ("IntDumper", "Int2Dumper", "Int4Dumper", "Int8Dumper")

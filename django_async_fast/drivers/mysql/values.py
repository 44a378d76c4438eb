"""What asyncmy makes of a column's text: the value that MySQLdb makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from django.db.backends.utils import typecast_time
from MySQLdb.constants import FIELD_TYPE
from MySQLdb.times import Date_or_None, DateTime_or_None

from ... import _native

# MySQLdb's converters of times, as Django has them, by type; and the core's.
OWN: dict[int, Any] = {
    FIELD_TYPE.DATE: Date_or_None,
    FIELD_TYPE.DATETIME: DateTime_or_None,
    FIELD_TYPE.TIME: typecast_time,
    FIELD_TYPE.TIMESTAMP: DateTime_or_None,
}
COMPILED: dict[int, Any] = dict(OWN)
if _native.COMPILED:
    COMPILED[FIELD_TYPE.DATE] = _native.rows.DateText(Date_or_None)
    COMPILED[FIELD_TYPE.DATETIME] = _native.rows.DateTimeText(DateTime_or_None)
    COMPILED[FIELD_TYPE.TIME] = _native.rows.TimeText(typecast_time)
    COMPILED[FIELD_TYPE.TIMESTAMP] = COMPILED[FIELD_TYPE.DATETIME]

# Their values are text or bytes, whatever their converters: MySQLdb decides by the
# character set of the column, and so does asyncmy.
_TEXTS = frozenset(
    {
        *(FIELD_TYPE.STRING, FIELD_TYPE.VAR_STRING, FIELD_TYPE.VARCHAR),
        *(FIELD_TYPE.TINY_BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB),
        *(FIELD_TYPE.BLOB, FIELD_TYPE.JSON),
    }
)
# Without a converter MySQLdb gives bytes.
_BYTES = FIELD_TYPE.ENUM, FIELD_TYPE.SET


class Failures:
    """The first error of a converter that was called while rows were read.

    asyncmy would stop there, in the middle of the server's answer.
    """

    def __init__(self) -> None:
        self.first: Exception | None = None

    def noting(self, function: Callable[[str], Any]) -> Callable[[str], Any]:
        """Return what calls `function`, and returns None where that fails."""

        def call(text: str) -> Any:
            try:
                return function(text)
            except Exception as exc:
                self.first = self.first or exc
                return None

        return call

    def take(self) -> Exception | None:
        """Return the error, if there is one, for the last time."""
        first, self.first = self.first, None
        return first


def decoders(conv: Mapping[Any, Any], failures: Failures) -> dict[int, Any] | None:
    """Return asyncmy's decoders in the place of MySQLdb's converters `conv`.

    None where one of them is not known: MySQLdb is to read the rows.
    """
    found: dict[int, Any] = {}
    for code, converter in conv.items():
        if not isinstance(code, int) or code in _TEXTS:
            continue
        if code in OWN and converter is OWN[code]:
            found[code] = COMPILED[code]
        elif converter in (int, float, Decimal):
            found[code] = converter
        else:
            return None
    if FIELD_TYPE.TIME in found:
        time = failures.noting(typecast_time)
        found[FIELD_TYPE.TIME] = (
            _native.rows.TimeText(time) if _native.COMPILED else time
        )
    found |= dict.fromkeys(_BYTES, str.encode)
    return found

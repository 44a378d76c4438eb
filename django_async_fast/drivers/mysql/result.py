"""A result that has arrived, as MySQLdb's cursors read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from MySQLdb.constants import FIELD_TYPE

# MySQLdb's name for rows that are dictionaries by column, others by table as well.
_DICTS = 1
# A flag that the library sets, not the server.
_NUM = 32768


def _described(field: Any) -> tuple[Any, ...]:
    # MySQLdb has it in 32 bits, with a sign.
    length = field.length - (field.length >> 31 << 32)
    nullable = int(not field.flags & 1)
    return field.name, field.type_code, None, length, length, field.scale, nullable


def _is_number(field: Any) -> bool:
    code = field.type_code
    if code == FIELD_TYPE.TIMESTAMP:
        return field.length in (8, 14)
    return code <= FIELD_TYPE.INT24 or code in (FIELD_TYPE.YEAR, FIELD_TYPE.NEWDECIMAL)


class Result:
    """All rows of a statement."""

    __slots__ = ("_at", "_fields", "rows")

    def __init__(self, rows: Sequence[Any], fields: Sequence[Any]) -> None:
        self.rows = rows
        self._fields = fields
        self._at = 0

    def describe(self) -> tuple[tuple[Any, ...], ...]:
        """Return the columns: name, type, lengths, decimals, whether NULL is in it."""
        return tuple(map(_described, self._fields))

    def field_flags(self) -> tuple[int, ...]:
        return tuple(
            each.flags | (_NUM if _is_number(each) else 0) for each in self._fields
        )

    def num_fields(self) -> int:
        return len(self._fields)

    def num_rows(self) -> int:
        return len(self.rows)

    def data_seek(self, row: int) -> None:
        self._at = row

    def fetch_row(self, maxrows: int = 1, how: int = 0) -> tuple[Any, ...]:
        """Return the next rows, all of them where `maxrows` is 0."""
        first, self._at = self._at, len(self.rows)
        if maxrows:
            self._at = min(first + maxrows, self._at)
        rows = tuple(self.rows[first : self._at])
        if not how:
            return rows
        names = self._names(how)
        return tuple(dict(zip(names, row, strict=True)) for row in rows)

    def _names(self, how: int) -> list[str]:
        names: list[str] = []
        for each in self._fields:
            full = f"{each.table_name}.{each.name}" if each.table_name else each.name
            short = how == _DICTS and each.name not in names
            names.append(each.name if short else full)
        return names

    def discard(self) -> None:
        self.rows = ()

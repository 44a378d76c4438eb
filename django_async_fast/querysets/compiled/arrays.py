"""Many values of `field__in` as the one parameter of `field = ANY($1)`.

The server plans both alike, but reads 10,000 literals one by one. Numbers, UUIDs and
dates go as a binary array of the column's type. Texts go as PostgreSQL writes arrays,
without a type: as it does with literals, the server takes that of the column, which may
be another than the field's, `citext` or an enum.
"""

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from psycopg.postgres import types
from psycopg.pq import Format

from ... import _native

# (bytes, OID, format)
Parameter = tuple[bytes, int, int]

_TYPES = {
    (int, "bigint"): "int8",
    (int, "integer"): "int4",
    (int, "smallint"): "int2",
    (UUID, "uuid"): "uuid",
    (dt.date, "date"): "date",
}


def of(
    field: Any, kind: type[Any], wrapper: Any
) -> Callable[[list[Any]], Parameter | None] | None:
    """Return what makes an array of values of exactly this class; None for none."""
    if kind is str:
        return _texts
    name = _TYPES.get((kind, field.db_type(wrapper)))
    return None if name is None else partial(_array, types[name])


def _array(element: Any, values: list[Any]) -> Parameter | None:
    data = _native.decode.array_of(element.oid, values)
    return None if data is None else (data, element.array_oid, Format.BINARY)


def _texts(values: list[str]) -> Parameter | None:
    plain = "".join(values)
    if "\0" in plain:
        return None  # psycopg refuses it
    if "\\" in plain or '"' in plain:
        values = [each.replace("\\", r"\\").replace('"', r"\"") for each in values]
    try:
        return ('{"' + '","'.join(values) + '"}').encode(), 0, Format.TEXT
    except UnicodeEncodeError:
        return None

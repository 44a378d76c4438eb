"""A field's values of many objects, as what is sent for them.

Django reads a value by `pre_save()` and prepares it by `get_db_prep_save()`. Its own
fields do nothing in either for a value of exactly the column's class: such a column is
read and encoded at once. For any other, the field is asked for each value, as Django
asks; what comes out of that is encoded if it can be, and else goes as psycopg sends it.
"""

import datetime as dt
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db import models
from django.db.backends.postgresql.operations import DatabaseOperations
from django.db.models import Case
from django.db.models.fields import Field
from django.db.models.functions import Cast
from psycopg import Binary
from psycopg.adapt import PyFormat, Transformer
from psycopg.postgres import types
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int2, Int4, Int8
from psycopg.types.range import Range

from ... import _native
from ...drivers.psycopg.statement import Array
from ...unpatched import unpatched_class
from .. import changes
from ..compiled.keys import Missed
from ..plain_fields import KEYS, PLAIN_FIELDS


class _Type(NamedTuple):
    """A type that values are encoded as."""

    oid: int
    array_oid: int
    # What the core is told of it.
    kinds: dict[int, tuple[str, int]] | None = None

    def array(self, values: list[Any]) -> Array | None:
        data = _native.decode.array_of(self.oid, values, self.kinds)
        return None if data is None else Array(data, self.array_oid)


def _of_name(name: str) -> _Type:
    return _Type(types[name].oid, types[name].array_oid)


def _of_range(name: str, bound: str) -> _Type:
    kind = "range", types[bound].oid
    return _of_name(name)._replace(kinds={types[name].oid: kind})


# The type of a column, without its parameters -> those that its values are encoded as.
_TYPES = {
    name: tuple(map(_of_name, encoded))
    for name, encoded in {
        "bigint": ("int8",),
        "boolean": ("bool",),
        "bytea": ("bytea",),
        "date": ("date",),
        "double precision": ("float8",),
        "inet": ("inet",),
        "integer": ("int4",),
        "interval": ("interval",),
        "jsonb": ("jsonb",),
        "numeric": ("numeric",),
        "real": ("float4",),
        "smallint": ("int2",),
        "text": ("text",),
        "time": ("time",),
        # Of naive datetimes the server makes one in the session's zone.
        "timestamp with time zone": ("timestamptz", "timestamp"),
        "uuid": ("uuid",),
        "varchar": ("varchar",),
    }.items()
} | {
    name: (_of_range(name, bound),)
    for name, bound in {
        "daterange": "date",
        "int4range": "int4",
        "int8range": "int8",
        "numrange": "numeric",
        "tstzrange": "timestamptz",
    }.items()
}
# Columns of which the server makes the type out of psycopg's text.
_PRINTED = frozenset({"hstore"})

_STAMPED = models.DateField, models.TimeField

# What is not called here of a field and of the backend.
_PREPARING = (
    *("get_db_prep_save", "get_db_prep_value", "get_prep_value", "to_python"),
    *("get_internal_type", "target_field"),
)
_READING = ("pre_save",)
_OF_OPS = (
    *("adapt_datefield_value", "adapt_datetimefield_value", "adapt_timefield_value"),
    *("adapt_decimalfield_value", "adapt_durationfield_value"),
    *("adapt_integerfield_value", "validate_autopk_value"),
)
_NUMBERS = frozenset({Int2, Int4, Int8})

# What Django gives to psycopg for values that are encoded here instead.
DUMPED = (
    *(bool, bytes, dt.date, dt.datetime, dt.time, dt.timedelta, Decimal, float, int),
    *(list, str, Binary, Int2, Int4, Int8, Jsonb, IPv4Address, IPv6Address),
    *(Range, UUID),
)


class Column:
    """A field of many objects."""

    __slots__ = ("_get", "_plain", "_types", "field", "kind", "sent_as")

    def __init__(self, field: Any, wrapper: Any) -> None:
        self.field = field
        self._get = attrgetter(field.attname)
        # The column's type, without its parameters.
        self.kind = kind = field.db_type(wrapper).partition("(")[0]
        # The type that the server is told of its values.
        self.sent_as = "text" if kind in _PRINTED else kind
        self._types = _TYPES.get(self.sent_as, ())
        # What tells whether the field hands values on; None where it never does.
        self._plain = _handing_on(field, kind, type(wrapper.ops))

    @property
    def is_encoded(self) -> bool:
        """Tell whether the core encodes values of the column's type."""
        return bool(self._types)

    @property
    def is_float(self) -> bool:
        return self.kind in ("double precision", "real")

    def is_plain(self) -> bool:
        """Tell whether the field hands on what is exactly of the column's class."""
        return self._plain is not None and all(each() for each in self._plain)

    def of(self, objs: Sequence[Any]) -> list[Any]:
        """Return the attribute of each object."""
        return list(map(self._get, objs))

    def array(self, values: list[Any]) -> Array | None:
        """Return the array of values that Django would hand on; None if it may not."""
        if not self.is_plain():
            return None
        return self._types[0].array(values)

    def saves_expressions(self, wrapper: Any) -> bool:
        """Tell whether the field hands on an expression, as Django's own fields do."""
        if self.is_plain():
            return True
        asked = Cast(Case(), self.field)
        with suppress(Exception):  # Django meets it again
            return self.field.get_db_prep_save(asked, connection=wrapper) is asked
        return False

    def prepare(self, values: list[Any], wrapper: Any, found: list[Any]) -> None:
        """Add to `found` what Django makes of each value.

        Raises Missed for an expression, or what becomes one.
        """
        prepare = self.field.get_db_prep_save
        for value in values:
            if hasattr(value, "resolve_expression"):
                raise Missed
            found.append(prepare(value, connection=wrapper))
            if hasattr(found[-1], "as_sql"):
                raise Missed

    def encoded(self, prepared: list[Any], wrapper: Any) -> Array | list[Any]:
        """Return what Django has made of values, as an array if it can be one."""
        found = _inside(prepared)
        if self.kind in _PRINTED:
            with suppress(Exception):  # psycopg meets it again, when it is sent
                found = _printed(prepared, wrapper.connection)
        for each in self._types:
            if (array := each.array(found)) is not None:
                return array
        return prepared


def is_read(field: Any) -> bool:
    """Tell whether `pre_save()` returns the attribute and does no more."""
    return is_djangos(field) and not (
        isinstance(field, _STAMPED) and (field.auto_now or field.auto_now_add)
    )


def is_djangos(field: Any) -> bool:
    """Tell whether `pre_save()` is Django's, of a field that stores no files."""
    base: Any = Field
    if isinstance(field, _STAMPED):
        base = _first_of(type(field), PLAIN_FIELDS)
    own = unpatched_class(type(field), base, _READING)
    return "pre_save" not in vars(field) and own.holds()


def is_only_cast(field: Any) -> bool:
    """Tell whether Django writes at most a cast to its type around a field's value."""
    if not any(hasattr(field, name) for name in changes.OF_PLACEHOLDER):
        return True
    kind: Any = type(field)
    # A project without ranges need not have what they import.
    postgres: Any = sys.modules.get("django.contrib.postgres.fields")
    base = _first_of(kind, (models.BinaryField, getattr(postgres, "RangeField", None)))
    return (
        base is not None
        and vars(field).keys().isdisjoint(changes.OF_PLACEHOLDER)
        and unpatched_class(kind, base, changes.OF_PLACEHOLDER).holds()
    )


def _inside(values: list[Any]) -> list[Any]:
    """Return values without psycopg's wrappers around them."""
    kinds = {*map(type, values)}
    if not kinds.isdisjoint(_NUMBERS):
        return [int(each) if type(each) in _NUMBERS else each for each in values]
    if Jsonb in kinds:
        with suppress(Exception):  # psycopg meets it again, when it is sent
            return [_dumped(each) for each in values]
    return values


def _printed(values: list[Any], raw: Any) -> list[Any]:
    """Return psycopg's text of each dict."""
    dump: Any = Transformer(raw).get_dumper({}, PyFormat.TEXT).dump
    return [str(dump(each), "utf-8") if type(each) is dict else each for each in values]


def _dumped(value: Any) -> Any:
    if type(value) is not Jsonb or value.dumps is None:
        return value
    return value.dumps(value.obj)


def _handing_on(field: Any, kind: str, ops: Any) -> list[Callable[[], bool]] | None:
    """Return what asks whether this field hands on what the core encodes as `kind`."""
    found = [unpatched_class(ops, DatabaseOperations, _OF_OPS).holds]
    while isinstance(field, KEYS):
        found += _asking(field, _first_of(type(field), KEYS))
        field = field.target_field
    base = _first_of(type(field), PLAIN_FIELDS)
    if base is None or PLAIN_FIELDS[base].column != kind:
        return None
    return found + _asking(field, base)


def _asking(field: Any, base: Any) -> list[Callable[[], bool]]:
    kind: Any = type(field)
    own = vars(field).keys()
    return [
        unpatched_class(kind, base, _PREPARING).holds,
        lambda: own.isdisjoint(_PREPARING),
    ]


def _first_of(kind: type[Any], known: Any) -> Any:
    return next((each for each in kind.__mro__ if each in known), None)

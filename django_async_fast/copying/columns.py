"""The columns that rows are copied into, and how Python values become theirs.

A value of the class that its field hands on as it is goes out as it is; any other goes
through the field's own `get_db_prep_save()`. The COPY is binary where the server's type
of each column has one binary form of one class, else text, which the server reads as it
reads a literal. The core encodes binary rows; a batch with a value that it does not is
psycopg's.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import MIN_EMIN, ROUND_HALF_UP, Decimal, localcontext
from functools import partial
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.db import DataError, NotSupportedError, models

from ..querysets.plain_fields import KEYS, kind_of
from . import statements
from .instances import Instances
from .located_errors import error
from .row_encoder import calls_own, encoder, handed_on_whole

_NONE = type(None)
# What a binary COPY begins and ends with.
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
# Classes of values that are prepared all the same.
_PREPARED = bytes, dt.time
# PostgreSQL's types, by OID, that have one binary form for values of this class.
_BINARY: dict[int, type] = {
    20: int,
    21: int,
    23: int,
    25: str,
    1043: str,
    16: bool,
    701: float,
    1700: Decimal,
    1082: dt.date,
    1184: dt.datetime,
    1186: dt.timedelta,
    2950: UUID,
}


def of(model: Any) -> list[Any]:
    """Return the fields of a model's own table that can be written to."""
    found = model._meta.concrete_model._meta.local_concrete_fields
    return [each for each in found if not getattr(each, "generated", False)]


def named(model: Any, names: Sequence[str] | Mapping[str, str] | None) -> list[Any]:
    """Return the fields with these names, which may be attributes' or columns'; or all.

    Raises FieldDoesNotExist.
    """
    fields = of(model)
    if names is None:
        return fields
    known: dict[str, Any] = {}
    for attribute in ("column", "attname", "name"):
        known |= {getattr(field, attribute): field for field in fields}
    if model._meta.pk in fields:
        known.setdefault("pk", model._meta.pk)
    if unknown := [name for name in names if name not in known]:
        raise FieldDoesNotExist(
            f"{model.__name__} has no field of its own named {', '.join(unknown)}: it "
            f"has {', '.join(field.name for field in fields)}."
        )
    found = [known[name] for name in names]
    if len(set(found)) < len(found):
        raise ValueError(f"A field is named twice in {', '.join(names)}.")
    return found


class _NotBinary(Exception):
    """A row can only be sent as text: a duration that the server is to read, say."""


class Columns:
    """Where rows like the first one go, and in which form."""

    def __init__(
        self,
        cursor: Any,
        model: Any,
        first: Any,
        names: Sequence[str] | Mapping[str, str] | None,
    ) -> None:
        self.fields = named(model, names)
        self._rows: Callable[[list[Any], int], list[Any]] = _as_they_are
        if isinstance(first, models.Model):
            instances = Instances(model, self.fields, first)
            self.fields, self._rows = instances.fields, instances.rows
        if not self.fields:
            raise NotSupportedError(
                "A COPY of rows without any column is not possible."
            )
        names = [cursor.db.ops.quote_name(field.column) for field in self.fields]
        table = cursor.db.ops.quote_name(model._meta.db_table)
        cursor.execute(f"SELECT {', '.join(names)} FROM {table} WHERE false")  # noqa: S608
        self.oids = [column.type_code for column in cursor.description]
        self._columns = [
            _Column(field, cursor.db, oid)
            for field, oid in zip(self.fields, self.oids, strict=True)
        ]
        self.is_binary = all(column.is_binary for column in self._columns)
        # Where there is none psycopg writes each row.
        self._encoder: Any = None
        # Whether a batch that is not encoded can only be sent as text.
        self._needs_core = not self.is_binary
        if self.is_binary or all(column.may_be_binary for column in self._columns):
            classes = _BINARY.values()
            self._encoder = encoder(cursor, self.oids, self.fields, classes)
            self.is_binary = self.is_binary or self._encoder is not None
        self._into = partial(statements.into_rows, cursor.db, model, self.fields)
        self._has_begun = False

    @property
    def statement(self) -> str:
        """The COPY that the next batch goes into."""
        return self._into(self.is_binary)

    def rows(self, batch: list[Any], before: int) -> list[Any]:
        """Return the values of a batch; `before` is how many rows have been sent."""
        return self._rows(batch, before)

    def write(self, copy: Any, rows: list[Any], before: int) -> bool:
        """Send a batch of rows; tell whether it can be in this COPY.

        If not, it and the rest can be in another, whose statement is now the next.
        """
        try:
            if self._encoder is None:
                self._written(copy, rows, before, copy.write_row)
            else:
                self._write_encoded(copy, rows, before)
        except _NotBinary:
            self._encoder, self.is_binary = None, False
            return False
        return True

    def _write_encoded(self, copy: Any, rows: list[Any], before: int) -> None:
        # What the core encodes is of the classes that the fields hand on as they are.
        data = self._encoder.encode(rows)
        if data is None:
            if self._needs_core:
                raise _NotBinary
            # A formatter writes its header and trailer around the rows.
            formatter = copy.formatter.__class__(copy.formatter.transformer)
            pieces: list[Any] = []

            def write_row(row: Any) -> None:
                pieces.append(formatter.write_row(row))

            self._written(copy, rows, before, write_row)
            data = b"".join([*pieces, formatter.end()])
            data = data[len(_HEADER) : -len(_TRAILER)]
        if not self._has_begun:
            self._has_begun = True
            data = _HEADER + data
        copy.write(data)

    def end(self, copy: Any) -> None:
        """Send what comes after the last row, if psycopg does not."""
        if self._has_begun:
            self._has_begun = False
            copy.write(_TRAILER)

    def _written(
        self, copy: Any, rows: list[Any], before: int, write_row: Callable[[Any], None]
    ) -> None:
        number = before
        rows = self._prepared(rows, before)
        try:
            for row in rows:
                number += 1
                write_row(row)
        except Exception as exc:
            if copy.connection.closed:
                raise  # it is not about the row
            raise self._failed(copy, row, number, exc) from exc

    def _prepared(self, rows: list[Any], before: int) -> Any:
        width = len(self._columns)
        if {*map(len, rows)} != {width}:
            raise _wrong_length(rows, before, width)
        values: list[Any] = list(zip(*rows, strict=True))
        # psycopg wants sequences of Python's.
        as_they_are = type(rows[0]) in (tuple, list)
        for i, column in enumerate(self._columns):
            if not column.hands_on(values[i]):
                values[i] = column.prepared(values[i], before, self.is_binary)
                as_they_are = False
        return rows if as_they_are else zip(*values, strict=True)

    def _failed(self, copy: Any, row: Any, number: int, exc: Exception) -> Exception:
        """Return the error of a value that psycopg refuses."""
        field = None
        for i, each in enumerate(self.fields):
            alone = [None] * len(row)
            alone[i] = row[i]
            try:
                copy.formatter.__class__(copy.formatter.transformer).write_row(alone)
            except Exception:
                field = each
                break
        return error(DataError, "row", number, field, exc)


def _wrong_length(rows: list[Any], before: int, width: int) -> Exception:
    lengths = enumerate(map(len, rows), before + 1)
    number, length = next((n, each) for n, each in lengths if each != width)
    message = f"{length} values for {width} columns"
    return error(DataError, "row", number, None, message)


def _as_they_are(rows: list[Any], before: int) -> list[Any]:
    return rows


class _Column:
    """A column, and what its values are before psycopg writes them."""

    def __init__(self, field: Any, wrapper: Any, oid: int) -> None:
        self._field = field
        self._prepare = partial(field.get_db_prep_save, connection=wrapper)
        self._kind = _handed_on(field)
        self._kinds = frozenset({self._kind, _NONE})
        self._limits = _LIMITS.get(oid) if self._kind is int else None
        # What is to be asked besides of values of that class.
        self._is_certain = _CERTAIN.get(self._kind)
        if self._limits is not None:
            self._is_certain = partial(_within, self._limits)
        self.is_binary = self._kind is not None and _BINARY.get(oid) is self._kind
        if self._kind is dt.datetime and not settings.USE_TZ:
            self.is_binary = False
        if self._kind is Decimal and field.max_digits is None:
            self.is_binary = False
        # Or by the core alone, which looks into lists, ranges and dicts.
        self.may_be_binary = self.is_binary or handed_on_whole(field, _is_handed_on)

    def hands_on(self, values: Sequence[Any]) -> bool:
        """Tell whether the field would hand all of the values on as they are."""
        kinds = {*map(type, values)}
        if not kinds <= self._kinds:
            return False
        if self._is_certain is None:
            return True
        if _NONE in kinds:
            values = [each for each in values if each is not None]
        return not values or self._is_certain(values)

    def prepared(self, values: Sequence[Any], before: int, binary: bool) -> list[Any]:
        """Return the values as the field prepares them."""
        found = []
        for number, value in enumerate(values, before + 1):
            if hasattr(value, "resolve_expression"):
                message = "COPY takes no expressions, as bulk_create() does"
                raise error(NotSupportedError, "row", number, self._field, message)
            try:
                value = self._prepare(value)
                found.append(self._for_binary(value) if binary else value)
            except _NotBinary:
                raise
            except Exception as exc:
                raise error(DataError, "row", number, self._field, exc) from exc
        return found

    def _for_binary(self, value: Any) -> Any:
        """Return what psycopg's binary form says as the server reads the text.

        Raises _NotBinary for what only the text can say.
        """
        if value is None:
            return None
        kind: Any = self._kind
        if not isinstance(value, kind):
            raise _NotBinary
        if self._limits is not None and not _within(self._limits, [value]):
            raise OverflowError(f"{value} is out of range")
        if kind is Decimal and value.is_finite() and not _are_short([value]):
            return self._rounded(value)
        return value

    def _rounded(self, value: Decimal) -> Decimal:
        if value.adjusted() >= _DIGITS:
            raise OverflowError("numeric field overflow")
        with localcontext(prec=2 * _DIGITS + 1, Emin=MIN_EMIN) as context:
            places = Decimal(1).scaleb(-self._field.decimal_places)
            return value.quantize(places, ROUND_HALF_UP, context)


# How many digits a column with a precision has at most.
_DIGITS = 1000
# What psycopg does not look at when it writes so many bytes.
_LIMITS = {
    oid: (-(2**bits), 2**bits - 1) for oid, bits in ((21, 15), (23, 31), (20, 63))
}


def _within(limits: tuple[int, int], values: Sequence[int]) -> bool:
    return limits[0] <= min(values) and max(values) <= limits[1]


def _are_short(values: Sequence[Decimal]) -> bool:
    """Tell whether psycopg's binary form has room for them, and Django takes them."""
    return (
        all(map(Decimal.is_finite, values))
        and max(map(abs, map(Decimal.adjusted, values))) < _DIGITS
        and max(map(Decimal.__sizeof__, values)) < _DIGITS
    )


def _are_aware(values: Sequence[dt.datetime]) -> bool:
    return None not in {*map(_TZINFO, values)}


_TZINFO = attrgetter("tzinfo")
_CERTAIN: dict[type | None, Callable[[Sequence[Any]], bool]] = {
    Decimal: _are_short,
    dt.datetime: _are_aware,
}


def _handed_on(field: Any) -> type | None:
    """Return the class of values that a field hands on as they are, or None."""
    target = field
    while type(target) in KEYS:
        target = target.target_field
    if not (calls_own(field) and calls_own(target)):
        return None
    kind = kind_of(target)
    return None if kind in _PREPARED else kind


def _is_handed_on(field: Any) -> bool:
    """Tell whether all values that are encoded in binary are handed on."""
    kind = _handed_on(field)
    if kind is dt.datetime:
        return bool(settings.USE_TZ)
    return kind is not None and (kind is not Decimal or field.max_digits is not None)

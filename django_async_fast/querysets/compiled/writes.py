"""What compiled INSERTs, UPDATEs and DELETEs of one row have in common.

A statement's text is compiled by Django once, without values. A value goes through its
field's own `get_db_prep_save()` each time, once, and takes the place of a `%s`; what is
not a plain value (an expression, a database default) is left to Django.

Key: by model, what decides the text. Kept in the model's `_meta`, as long as that
lives. Bound and end: as the statements of querysets (`tree`). A miss costs Django's
compiling of the text.
"""

import datetime as dt
import decimal
import uuid
from asyncio import _get_running_loop
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from operator import attrgetter
from typing import Any

import django
from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import Error, connections
from django.db.backends.postgresql.operations import DatabaseOperations
from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In
from django.db.models.sql import DeleteQuery, InsertQuery, Query, UpdateQuery
from django.db.models.sql.compiler import (
    SQLCompiler,
    SQLDeleteCompiler,
    SQLInsertCompiler,
    SQLUpdateCompiler,
)

from ... import _native
from ...drivers.psycopg import statement
from ...unpatched import Unpatched
from .. import changes, whole_results
from . import authors, room, tree, verify
from .holes import lookup_of
from .keys import Missed
from .paths import STEPS
from .prepared_values import like

# Whether Django writes NULL into the text of an UPDATE, not `%s`.
NULL_IN_TEXT = django.VERSION < (6, 1)

# No expressions, whose `resolve_expression` and `as_sql` need not be looked for.
_VALUES = frozenset(
    {
        *(bool, bytes, decimal.Decimal, dt.date, dt.datetime, dt.time, dt.timedelta),
        *(dict, float, int, list, str, tuple, type(None), uuid.UUID),
    }
)

# What decides the text of a write, besides its model and fields.
_features = attrgetter(
    *("has_bulk_insert", "can_return_columns_from_insert"),
    "can_return_rows_from_bulk_insert",
)
# What is not called here of the backend's operations.
_OPS = (
    *("binary_placeholder_sql", "bulk_insert_sql", "compiler", "fetch_returned_rows"),
    *("insert_statement", "lookup_cast", "modify_insert_params"),
    *("on_conflict_suffix_sql", "quote_name", "returning_columns"),
)


_compiles = Unpatched(
    *((each, each) for each in (Query, InsertQuery, UpdateQuery, DeleteQuery)),
    *((each, each) for each in (SQLCompiler, SQLInsertCompiler, SQLUpdateCompiler)),
    (SQLDeleteCompiler, SQLDeleteCompiler),
)

Run = Callable[[], Any]
# Text, parameters, and the text as `drivers.psycopg.statement.template_of()` has it;
# with values in arrays, these, and what returns the three with each in its place.
Statement = tuple[Any, ...]


class Write:
    """A compiled statement without its values."""

    __slots__ = ("_features", "_kept", "_watches", "sql", "template", "used")

    def __init__(
        self,
        compiler: Any,
        sql: str,
        kept: Any,
        fields: Iterable[Any],
        *not_called: tuple[Any, ...],
    ) -> None:
        self.used = STEPS.clock
        self.sql = sql
        self.template = statement.template_of(sql)
        wrapper = compiler.connection
        self._features = _features(wrapper.features)
        unpatched = Unpatched(
            (type(compiler), type(compiler)),
            (type(compiler.query), type(compiler.query)),
            (type(wrapper.ops), DatabaseOperations, _OPS),
            *not_called,
        )
        kinds = map(type, fields)
        self._watches = (
            unpatched.watch,
            *changes.watches(kinds, changes.OF_SAVED),
            # The text may be of operations that are patched, and soon are no more.
            *changes.watches((type(wrapper.ops),), _OPS),
        )
        # What the key names by its identity: nobody else may get that meanwhile.
        self._kept = kept

    def holds(self, wrapper: Any) -> bool:
        """Tell whether Django's own code would compile the same on this connection."""
        return bool(
            _native.rows.all_hold(self._watches)
        ) and self._features == _features(wrapper.features)

    def send(self, wrapper: Any, filled: Statement) -> Any:
        """Send the statement; return how many rows it has changed."""
        return execute(wrapper, *filled)


class Blank:
    """A field in a statement that has no values yet: any will do in their place."""

    def __init__(self, field: Any) -> None:
        self.column = field.column
        self.generated = field.generated

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        """Return what stands for a value."""
        return value


def blank(value: Any) -> Any:
    """Return what stands for a plain value: before Django 6.1 there may be `NULL`."""
    return None if value is None and NULL_IN_TEXT else 0


class WriteCall:
    """One call of a write: what of it decides the text, and what fills that in."""

    # The statements that are known, and the key of this one among them.
    known: dict[Any, Any]
    key: Any
    using: str

    def as_sql(self) -> tuple[str, Any]:
        """Return text and parameters, which Django compiles."""
        raise NotImplementedError

    def compiled(self) -> Any:
        """Return the statement, None if it is never to be. Raises Missed."""
        raise NotImplementedError

    def params(self, write: Any, wrapper: Any) -> list[Any]:
        """Return the parameters of the statement. Raises Missed."""
        raise NotImplementedError

    def statement(self, write: Any, wrapper: Any) -> Statement:
        """Return what is to be sent. Raises Missed."""
        return write.sql, self.params(write, wrapper), write.template

    def after_values(self) -> Run | None:
        """Return what does it once that has raised Missed, None for Django."""
        return None

    def learn(self) -> Any:
        """Keep the statement and return it; None where this call is left to Django."""
        try:
            found = self.compiled()
        except (EmptyResultSet, Error, Missed):
            return None  # the next one may have values of which there can be
        except Exception:
            found = None  # Django meets it again, in its own place
        self.known[self.key] = found
        tree.grown()
        return found


def run_of(call: WriteCall) -> Run | None:
    """Return what executes a call of a write; None where that is left to Django."""
    if _get_running_loop() is not None:
        return None  # Django refuses it, or lets it wait
    try:
        write = call.known[call.key]
    except KeyError:
        if not _compiles.holds():
            return None  # a tool would not see what is compiled
        write = call.learn()
    wrapper = connections[call.using]
    if write is None or not write.holds(wrapper):
        return None
    write.used = STEPS.clock
    try:
        filled = call.statement(write, wrapper)
    except Missed:
        return call.after_values()
    if verify.ON:
        # With values in arrays it is another text: compared is what else would be sent.
        text, params, *_ = filled[-1]() if len(filled) > 3 else filled
        verify.same(text, params, call.as_sql())
    return partial(write.send, wrapper, filled)


def execute(
    wrapper: Any,
    sql: str,
    params: Any,
    template: bytes,
    arrays: Any = None,
    written_out: Callable[[], Statement] | None = None,
) -> int:
    """Execute a statement without rows; return how many it has changed.

    One with arrays is `written_out`, as Django does it, for who sees it.
    """
    raw = statement.unobserved(wrapper)
    if written_out is not None and (raw is None or not whole_results.takes_arrays(raw)):
        return execute(wrapper, *written_out())
    if raw is not None:
        return statement.execute(wrapper, raw, sql, params, template, arrays)
    with closing(wrapper.cursor()) as cursor:
        whole_results.send(cursor, sql, tuple(params))
        return int(cursor.rowcount)


class Known(dict[Any, Any]):
    """The compiled writes of a model, while `epoch` is the tree's."""

    __slots__ = ("__weakref__", "epoch")

    def __init__(self, epoch: object) -> None:
        self.epoch = epoch


class _Djangos(dict[Any, Any]):
    """The writes of all models while a connection compiles as its class does not."""

    def __missing__(self, key: Any) -> None:
        return None


_DJANGOS = _Djangos()


def of(model: Any) -> dict[Any, Any]:
    """Return the compiled writes of a model, by what decides their text.

    What is None is never compiled here.
    """
    meta = vars(model._meta)
    found: Known | None = meta.get("_daf_writes")
    if found is None or found.epoch is not STEPS.epoch:
        if not changes.may_learn():
            return _DJANGOS
        found = meta["_daf_writes"] = Known(STEPS.epoch)
        room.add(found)
    return found


def can_compile(compiler: Any, fields: Any) -> bool:
    """Tell whether the text of a write may be kept. Raises Refused."""
    authors.check_model(compiler.query.model)
    return (
        compiler.connection.vendor == "postgresql"
        and type(compiler).__module__.startswith("django.")
        # Their text may depend on the value.
        and not any(
            hasattr(each, "get_placeholder") or hasattr(each, "get_placeholder_sql")
            for each in fields
        )
    )


def is_plain(value: Any) -> bool:
    """Tell whether `value` is nothing that Django compiles, or asks for a value."""
    return type(value) in _VALUES or not (
        hasattr(value, "resolve_expression")
        or hasattr(value, "as_sql")
        or hasattr(value, "prepare_database_save")
    )


def prepared(field: Any, value: Any, wrapper: Any) -> Any:
    """Return the parameter that Django makes of a value to save. Raises Missed."""
    found = field.get_db_prep_save(value, connection=wrapper)
    if not is_plain(found):
        raise Missed
    return found


class Key:
    """The row that is asked for, by its primary key."""

    __slots__ = ("_column", "_kind", "_prepared", "_wanted", "watches")

    def __init__(self, where: Any, value: Any, compiler: Any) -> None:
        """Take down the only condition of a query. Raises Missed."""
        (lookup,) = where.children or (None,)
        kind: Any = type(lookup)
        if (
            len(where.children) != 1
            or where.negated
            or not isinstance(lookup, Exact | In)
            or type(lookup.lhs) is not Col
            or not kind.__module__.startswith("django.")
            or hasattr(kind, "as_postgresql")
        ):
            raise Missed
        self._column = lookup.lhs
        self._kind = kind
        self.watches = (
            *changes.watches((kind,), changes.OF_CONDITION),
            *changes.watches((type(lookup.lhs.target),), changes.OF_COLUMN),
        )
        wrapper = compiler.connection
        self._wanted, params = lookup.process_rhs(compiler, wrapper)
        self._prepared = None
        if isinstance(lookup, Exact) and type(value) in (int, str, uuid.UUID):
            field = lookup.lhs.target
            self._prepared = like((field,), kind, [value], params, wrapper)

    def param(self, value: Any, wrapper: Any) -> Any:
        """Return the parameter for another key. Raises Missed."""
        kind = self._kind
        if lookup_of(self._column.output_field, kind.lookup_name) is not kind:
            raise Missed  # another has been registered
        if self._prepared is not None:
            found = self._prepared.param(value)
            if found is not None:
                return found
        made = kind(self._column, value)
        if made.rhs is None or hasattr(made.rhs, "as_sql"):
            raise Missed
        try:
            sql, params = made.process_rhs(None, wrapper)
        except (EmptyResultSet, FullResultSet):
            raise Missed from None
        if sql != self._wanted or len(params) != 1:
            raise Missed
        return params[0]

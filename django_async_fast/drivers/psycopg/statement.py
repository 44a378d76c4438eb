"""One statement whose rows are wanted whole, sent without a cursor.

Where nobody watches, what has an effect of Django's cursor and psycopg's is done here;
else there is a cursor. `drivers/unwatched.py` has more.

In: a wrapper, SQL and its parameters.
Out: the result, in binary.
Next: `native/batches.pxi`.
"""

from asyncio import _get_running_loop
from collections.abc import Callable, Generator, Iterable
from datetime import date, datetime
from decimal import Decimal
from functools import cache, partial
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple, NoReturn
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db.backends import utils
from django.db.backends.postgresql.base import (
    Cursor,
    DatabaseWrapper,
    ServerBindingCursor,
)
from django.db.backends.postgresql.psycopg_any import DjangoRangeDumper
from django.db.backends.utils import CursorWrapper
from psycopg import Connection, errors, pq
from psycopg._preparing import Prepare
from psycopg._queries import PostgresClientQuery, _query2pg_client
from psycopg.adapt import PyFormat, Transformer
from psycopg.generators import execute as execute_query
from psycopg.rows import tuple_row
from psycopg.types.numeric import Int2, Int4, Int8

from ... import _native
from ...unpatched import Unpatched
from ..unwatched import NOT_CALLED, refuse
from . import due_statements, prepared_statements, read_pipelines
from .connection import ROUND_TRIPS
from .connection import Connection as BlockConnection
from .literals import LITERALS
from .transaction_status import IDLE, INTRANS

BINARY, TEXT = pq.Format.BINARY, pq.Format.TEXT
FATAL_ERROR = pq.ExecStatus.FATAL_ERROR
_DONE = frozenset({pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK})


class Array(NamedTuple):
    """A column of values as the core encodes it, and the OID of its array type."""

    data: bytes
    oid: int


_CONNECTIONS = frozenset({Connection, BlockConnection})


@cache
def _unpatched(kind: Any) -> Unpatched:
    """Tell whether Django makes the cursors of such wrappers, and executes."""
    return Unpatched(
        (kind, DatabaseWrapper, NOT_CALLED),
        (CursorWrapper, CursorWrapper),
        (Cursor, Cursor),
        (ServerBindingCursor, ServerBindingCursor),
        (Connection, Connection, ("cursor",)),
    )


def template_of(sql: str) -> bytes:
    """Return `sql` as it is kept to be filled in again: with `%s` for each value."""
    template: bytes = _query2pg_client(sql.encode(), "utf-8")[0]
    return template


def execute(
    wrapper: Any, raw: Any, sql: str, params: Any, template: bytes, arrays: Any = None
) -> int:
    """Execute a statement without rows; return how many it changed.

    `template` is what `template_of(sql)` returned, to save that. `arrays` go beside the
    text: each bytes, OID and format.
    """
    bound = SENDER.bound(raw, template, tuple(params)) if arrays is None else None
    sent = SENDER.send(wrapper, raw, sql, params, template, bound, arrays)
    changed = sent.command_tuples
    return -1 if changed is None else int(changed)  # as a cursor's rowcount


def execute_arrays(wrapper: Any, raw: Any, template: bytes, params: Any) -> Any:
    """Execute a statement; return its result, in text.

    What of `params` is an Array goes in binary, the others are merged on the client.
    """
    wrapper.validate_no_broken_transaction()
    try:
        query, arrays = _with_arrays(raw, params, template)
        send = partial(
            raw.pgconn.send_query_params,
            query,
            [each.data for each in arrays],
            param_types=[each.oid for each in arrays],
            param_formats=[BINARY] * len(arrays),
        )
        if not raw._autocommit and due_statements.are_due(raw):
            return _only(raw, due_statements.send(raw, send))
        with raw.lock:
            return _only(raw, raw.wait(_execute(raw, send)))
    except Exception as error:
        _failed(wrapper, error)


def _failed(wrapper: Any, error: Exception) -> NoReturn:
    """Raise what Django would in the place of `error`."""
    try:
        try:
            raise error
        except errors._NO_TRACEBACK as exc:
            raise exc.with_traceback(None) from None
    except Exception:
        # Made for each connection; most never need it.
        with wrapper.wrap_database_errors:
            raise
    raise AssertionError  # not reached


def merged(raw: Any, sql: str, params: Any) -> bytes:
    """Return the statement with its parameters in it, as psycopg merges them."""
    merged = PostgresClientQuery(Transformer(raw))
    merged.convert(sql, params)
    query: bytes = merged.query
    return query


def _with_arrays(raw: Any, params: Any, template: bytes) -> Any:
    literal = Transformer(raw).as_literal
    arrays: list[Array] = []
    places = []
    for each in params:
        if type(each) is Array:
            arrays.append(each)
            places.append(b"$%d" % len(arrays))
        else:
            places.append(literal(each))
    return template % tuple(places), arrays


def dumps_as_psycopg(raw: Any, kinds: Iterable[type[Any]]) -> bool:
    """Tell whether values of these classes are dumped by psycopg's own code.

    Or by Django's dumper of ranges.
    """
    found = {raw.adapters.get_dumper(each, PyFormat.TEXT) for each in kinds}
    return all(map(prepared_statements.is_of_psycopg, found - {DjangoRangeDumper}))


def _execute(raw: Any, send: Callable[[], None]) -> Generator[Any, Any, list[Any]]:
    if not raw._autocommit:
        yield from raw._start_query()
    send()
    results: list[Any] = yield from execute_query(raw.pgconn)
    return results


def _in_transaction(raw: Any, query: bytes) -> Any:
    """Send a query, with the BEGIN and SAVEPOINT that are due; return its result."""
    if due_statements.are_due(raw):
        send = partial(raw.pgconn.send_query_params, query, None, result_format=BINARY)
        return _only(raw, due_statements.send(raw, send))
    with raw.lock:
        return raw.wait(_native.rows.operation(SENDER, raw, query))


def _only(raw: Any, results: list[Any]) -> Any:
    """Return the one result of a statement. Raises its error."""
    if len(results) == 1 and results[0].status in _DONE:
        return results[0]
    return _more_results(raw, results)


def _more_results(raw: Any, results: list[Any]) -> NoReturn:
    """Raise the error among the results of a statement, or that they are too many."""
    for result in results:
        if result.status == FATAL_ERROR:
            raise errors.error_from_result(result, encoding=raw.info.encoding)
    raise errors.InternalError("a statement had more results than one, or another")


# As psycopg dumps such values, None where it does otherwise.


def _text(value: str) -> bytes | None:
    try:
        return None if "\0" in value else value.encode()
    except UnicodeEncodeError:
        return None


def _printed(value: date) -> bytes:
    return str(value).encode()


def _moment(value: datetime) -> bytes | None:
    return str(value).encode() if value.tzinfo else None


def _number(value: Decimal) -> bytes | None:
    text = str(value)
    # A whole number is an integer to the server, where it divides for one.
    return text.encode() if "." in text or "E" in text else None


# Without the core nothing is sent past a cursor.
SENDER: Any = _native.COMPILED and _native.rows.Sender(
    lambda kind: _unpatched(kind).watch,
    names=NOT_CALLED,
    connections=_CONNECTIONS,
    cursor=Cursor,
    cursor_wrapper=CursorWrapper,
    utils=vars(utils),
    settings=settings,
    apps=apps,
    running_loop=_get_running_loop,
    refuse=refuse,
    tuple_row=tuple_row,
    literals=LITERALS,
    merged=merged,
    execute=execute_query,
    result_format=BINARY,
    failed=_failed,
    more_results=_more_results,
    round_trips=ROUND_TRIPS,
    binding_cursor=ServerBindingCursor,
    integers=(int, Int2, Int4, Int8),
    kinds={
        str: (prepared_statements.UNKNOWN, _text, TEXT),
        UUID: (prepared_statements.UUIDS, attrgetter("bytes"), BINARY),
        date: (prepared_statements.DATES, _printed, TEXT),
        datetime: (prepared_statements.MOMENTS, _moment, TEXT),
        bool: (prepared_statements.BOOLS, bool.to_bytes, BINARY),
        Decimal: (prepared_statements.NUMBERS, _number, TEXT),
        NoneType: (prepared_statements.UNKNOWN, None, TEXT),
    },
    is_dumper=prepared_statements.is_psycopgs,
    manager_of=prepared_statements.manager_of,
    forgotten=prepared_statements.forgotten,
    no_prepare=Prepare.NO,
    should_prepare=Prepare.SHOULD,
    in_transaction=_in_transaction,
    join=read_pipelines.join,
)


def unobserved(wrapper: Any) -> Any:
    """Return the open psycopg connection if the statement may skip the cursor."""
    return SENDER.unobserved(wrapper)


def due_savepoints(wrapper: Any) -> due_statements.DueSavepoints | None:
    """Return what keeps a wrapper's savepoints until its next statement.

    None where they are sent at once: somebody watches, or nothing may come between.
    """
    raw = SENDER and SENDER.unobserved(wrapper)
    if not isinstance(raw, BlockConnection) or not due_statements.PIPELINES:
        return None
    if raw.pgconn.transaction_status not in (IDLE, INTRANS):
        return None
    if raw.due is None:
        raw.due = due_statements.DueSavepoints()
    due: due_statements.DueSavepoints = raw.due
    return due if due.may_add(raw) else None

"""The rows of a query that are wanted all at once, as a batch for the core."""

import datetime as dt
from _thread import get_ident
from collections.abc import Callable
from contextlib import closing
from functools import cache
from importlib import import_module
from typing import Any
from uuid import UUID

from django.db import DatabaseError
from django.db.utils import ProgrammingError
from psycopg import errors
from psycopg.types.json import JsonLoader
from psycopg.types.numeric import Int2, Int4, Int8

from .. import _native
from ..connections import block_threads, lazy_wrapper
from ..drivers.psycopg import results, statement, type_loaders
from ..drivers.psycopg.fetched_rows import OF_QUERYSETS, Fetch, readable
from .plans.result_format import Types

# By Django's backend: what reads without a cursor.
_READERS = {
    "mysql": "..drivers.mysql.statement",
    "sqlite": "..drivers.sqlite.statement",
}

# What Django gives to psycopg for values that are sent in an array instead.
_KEYS = int, Int2, Int4, Int8, str, UUID, dt.date


def fetch(
    wrapper: Any,
    plan: Any,
    types: Types,
    columns: int,
    sql: str,
    params: Any,
    template: bytes | None = None,
    how: Fetch = OF_QUERYSETS,
    binds: bool = False,
    arrays: Any = None,
    run: Any = None,
) -> Any:
    """Return all rows of a query, as a batch.

    `template` is what `statement.template_of(sql)` returned, to save that; `how` is
    what Django does for the rows, `binds` tells that the values may be sent beside the
    text. With `arrays` the text is Django's only as `run` has it written out, for who
    sees it. Raises what the query does.
    """
    if wrapper._thread_ident != get_ident() and block_threads.in_block_thread():
        given = plan, types, columns, sql, params, template, how, binds, arrays, run
        return block_threads.run_on_loop(fetch, wrapper, *given)
    query = plan, types, columns, sql, params, template, binds, arrays
    found = READER.read(wrapper, *query)
    if found is not None:
        return found
    unsent = None if arrays is None else run
    return by_cursor(wrapper, sql, params, unsent, plan, types, columns, how)


def by_cursor(
    wrapper: Any,
    sql: str,
    params: Any,
    unsent: Any,
    plan: Any,
    types: Types,
    columns: int,
    how: Fetch,
) -> Any:
    """Do as `fetch()` where `READER` has not sent it.

    `unsent` is the run of a text with arrays, else None.
    """
    wrapper = lazy_wrapper.visible(wrapper)
    if unsent is not None:
        sql, params = unsent.written_out()
    if (read := _reader_of(wrapper.vendor)) is not None:
        rows = read(wrapper, sql, params)
        if rows is not None:
            return _native.rows.TupleBatch(plan, rows, wrapper)
    # As Django sends it: psycopg's result is text.
    with closing(wrapper.cursor()) as cursor:
        send(cursor, sql, params)
        inner = readable(cursor, how)
        if not is_to_be_read(inner):
            return results.loaded(plan, how.rows(cursor), wrapper)
        learn(types, inner, columns)
        return batch(plan, inner, columns)


def _failed(wrapper: Any, types: Types, error: BaseException | None) -> None:
    """Note that a query has failed; raise that its result has no rows, without one."""
    # Whoever has the error has the wrapper, in its frames.
    vars(wrapper).pop("reusable", None)
    if isinstance(error, ProgrammingError):
        types.forget()  # perhaps a type that has no binary form at all
    elif error is None:
        with wrapper.wrap_database_errors:
            raise errors.InternalError("a query for rows had no result with rows")


def _first_batch(
    wrapper: Any,
    raw: Any,
    decoders: Any,
    plan: Any,
    types: Types,
    columns: int,
    result: Any,
) -> Any:
    """Return a batch of a result of which the session has no decoder yet."""
    try:
        found = decoders.batch(plan, raw, None, result, columns)
        # Perhaps others than before: so the next one is asked for by these.
        types.learn(map(result.ftype, range(columns)), lambda oid: True)
        return found
    except results.UnknownType as unknown:
        vars(wrapper).pop("reusable", None)
        types.has_changed(unknown.column)
        with wrapper.wrap_database_errors:
            return decoders.converted(plan, raw, result, columns)


@cache
def _reader_of(vendor: str) -> Callable[[Any, str, Any], list[Any] | None] | None:
    """Return what reads all rows of a query as tuples, if it can; None for cursors.

    `vendor` is Django's name of a database.
    """
    if not _native.COMPILED or vendor not in _READERS:
        return None
    try:
        return import_module(_READERS[vendor], __package__).rows
    except ImportError:
        return None  # a backend on another driver, as PyMySQL or MySQL's own


def takes_arrays(raw: Any) -> bool:
    """Tell whether nobody dumps the values of keys otherwise than psycopg."""
    return type_loaders.is_utf8(raw.pgconn) and statement.dumps_as_psycopg(raw, _KEYS)


READER: Any = _native.COMPILED and _native.rows.Reader(
    statement.SENDER,
    decoders_of=results.decoders,
    json_loader=JsonLoader,
    converted=_first_batch,
    failed=_failed,
    takes_arrays=takes_arrays,
)


def send(cursor: Any, sql: str, params: Any) -> None:
    """Execute the query; its error, not that of closing `cursor`, is raised."""
    try:
        cursor.execute(sql, params)
    except Exception as exc:
        # A server-side cursor may fail to close on a broken connection.
        try:
            cursor.close()
        except DatabaseError:
            raise exc from None
        raise


def is_to_be_read(inner: Any) -> bool:
    """Tell whether the core reads an executed cursor's rows, as psycopg would.

    `inner` is what `readable()` returned. Not a pipeline's rows, which have not come;
    nor where somebody else has begun.
    """
    return (
        inner is not None and inner.rownumber == 0 and not inner.pgresult.binary_tuples
    )


def learn(types: Types, inner: Any, columns: int) -> None:
    """Take note of the types of an executed cursor's columns, for the next query."""
    oids = [inner.pgresult.ftype(i) for i in range(columns)]
    connection = inner.connection
    kinds = results.decoders(connection).type_kinds
    types.learn(oids, lambda oid: kinds.decodes(oid, connection))


def batch(plan: Any, inner: Any, columns: int) -> Any:
    """Return the rows of an executed psycopg cursor that the core reads."""
    connection = inner.connection
    decoders = results.decoders(connection)
    return decoders.batch(plan, connection, inner, inner.pgresult, columns)

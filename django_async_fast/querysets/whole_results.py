"""The rows of a query that are wanted all at once, as a batch for the core."""

from __future__ import annotations

from _thread import get_ident
from contextlib import closing
from typing import Any

from django.db import DatabaseError
from django.db.utils import ProgrammingError

from ..connections import block_threads, lazy_wrapper
from ..drivers.psycopg import results, statement
from ..drivers.psycopg.fetched_rows import OF_QUERYSETS, Fetch, readable
from .plans.result_format import Types


def fetch(
    wrapper: Any,
    plan: Any,
    types: Types,
    columns: int,
    sql: str,
    params: Any,
    template: bytes | None = None,
    how: Fetch = OF_QUERYSETS,
) -> Any:
    """Return all rows of a query, as a batch.

    `template` is what `statement.template_of(sql)` returned, to save that; `how` is
    what Django does for the rows. Raises what the query does.
    """
    if wrapper._thread_ident != get_ident() and block_threads.in_block_thread():
        query = plan, types, columns, sql, params, template, how
        return block_threads.run_on_loop(fetch, wrapper, *query)
    try:
        oids = types.oids
        if oids is not None and (raw := statement.unobserved(wrapper)) is not None:
            decoders = results.decoders(raw)
            # Django gives a cursor the wrapper's time zone where it is another.
            if decoders.zone == wrapper.timezone and decoders.reads_binary(raw, oids):
                try:
                    result = statement.fetch(wrapper, raw, sql, params, template)
                except ProgrammingError:
                    types.forget()  # perhaps a type that has no binary form at all
                    raise
                try:
                    if template is None:
                        # A plan of one run, which may know objects: it is not kept.
                        return decoders.batch(plan, raw, None, result, columns)
                    return decoders.batch_of_known_plan(plan, raw, result, columns)
                except results.UnknownType as unknown:
                    types.has_changed(unknown.column)
                    with wrapper.wrap_database_errors:
                        return decoders.converted(plan, raw, result, columns)
    except BaseException:
        # Whoever has the error has the wrapper, in its frames.
        vars(wrapper).pop("reusable", None)
        raise
    wrapper = lazy_wrapper.visible(wrapper)
    # As Django sends it: the result is text.
    with closing(wrapper.cursor()) as cursor:
        send(cursor, sql, params)
        inner = readable(cursor, how)
        if not is_to_be_read(inner):
            return results.loaded(plan, how.rows(cursor))
        learn(types, inner, columns)
        return batch(plan, inner, columns)


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

"""Rows into a model's table by COPY: instances, tuples, or a file as it is.

All of them or none: the COPY runs in an atomic block.
"""

from collections.abc import (
    AsyncIterable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import ExitStack, closing
from itertools import chain, islice
from typing import Any

from asgiref.sync import async_to_sync
from django.db import connections, router, transaction
from django.db.models import Model

from ..drivers.psycopg import copies
from . import columns, files, headers, statements
from .callers import awaited, on_the_loop
from .located_errors import located
from .statements import Format

# Rows that are prepared together, column by column.
BATCH = 500

Progress = Callable[[int], object]
# A list of fields, or for a file with a header what its names mean.
Fields = Sequence[str] | Mapping[str, str]


@on_the_loop
def copy_from(
    model: type[Model],
    source: Any,
    fields: Fields | None = None,
    *,
    format: Format = "csv",
    header: bool = True,
    progress: Progress | None = None,
    using: str | None = None,
) -> int:
    """Insert what `source` has into the table of `model`; return the number of rows.

    `source` is an iterable of instances, or of sequences of values, one for each of
    `fields`; or a path, a file or an iterable of bytes, in `format`. The `header` of a
    file names its columns, and `fields` may map other names: `{"Title": "title"}`.
    Without either all fields are expected, in the model's order.
    `progress` is called with the number of rows so far; of a file, of bytes.

    A database error says in which row, or line, and field it is. No signals are sent,
    keys are not put into instances, and columns that are left out get the database's
    default.
    """
    using = using or router.db_for_write(model)
    wrapper = connections[using]
    statements.check(wrapper, format, "bulk_create()")
    with ExitStack() as stack:
        data = files.pieces(source, stack)
        if data is None:
            rows = _iterated(source)
            first = list(islice(rows, 1))
            if first and isinstance(first[0], files.DATA):
                data = chain(first, rows)
        stack.enter_context(transaction.atomic(using=using))
        cursor = stack.enter_context(closing(wrapper.cursor()))
        if data is not None:
            return _copy_data(cursor, model, data, fields, format, header, progress)
        return _copy_rows(cursor, model, chain(first, rows), fields, progress)


acopy_from = awaited(
    copy_from,
    "Do as `copy_from()`, awaited; `source` may be an asynchronous iterable, too.",
)


def _iterated(source: Any) -> Iterator[Any]:
    """Return an iterator over rows, or bytes, that may have to be awaited."""
    return _awaited(source) if isinstance(source, AsyncIterable) else iter(source)


def _awaited(source: AsyncIterable[Any]) -> Iterator[Any]:
    iterator, take = aiter(source), async_to_sync(_take)
    while items := take(iterator):
        yield from items


async def _take(iterator: Any) -> list[Any]:
    items = []
    async for item in iterator:
        items.append(item)
        if len(items) == BATCH or isinstance(item, files.DATA):
            break
    return items


def _copy_data(
    cursor: Any,
    model: type[Model],
    data: Iterable[Any],
    fields: Fields | None,
    format: str,
    header: bool,
    progress: Progress | None,
) -> int:
    """Send a file as it is, but for its header."""
    pieces = files.encoded(data, format)
    lines = 0
    if header and format != "binary":
        names, lines, rest = headers.read(pieces, format)
        into = headers.fields(model, names, fields)
        pieces = chain([rest], pieces)
    else:
        into = columns.named(model, fields)
    statement = statements.into_file(cursor.db, model, into, format)
    sent = 0
    with located(into, "line", lines), copies.copying(cursor, statement) as copy:
        copy.writer.flush_threshold = copies.SIZE
        for piece in pieces:
            copy.write(piece)
            sent += len(piece)
            if progress is not None:
                progress(sent)
    return int(cursor.rowcount)


def _copy_rows(
    cursor: Any,
    model: type[Model],
    rows: Iterator[Any],
    fields: Fields | None,
    progress: Progress | None,
) -> int:
    batch = list(islice(rows, BATCH))
    if not batch:
        return 0
    into = columns.Columns(cursor, model, batch[0], fields)
    done = copied = 0
    values = into.rows(batch, done)
    # One COPY, and another for rows that are not as binary as the first ones.
    while values:
        with (
            located(into.fields, "row", done),
            copies.copying(cursor, into.statement) as copy,
        ):
            copy.writer.flush_threshold = copies.SIZE
            if into.is_binary:
                copy.set_types(into.oids)
            while values and into.write(copy, values, done):
                done += len(values)
                if progress is not None:
                    progress(done)
                batch = list(islice(rows, BATCH))
                values = into.rows(batch, done) if batch else []
            into.end(copy)
        copied += int(cursor.rowcount)
    return copied

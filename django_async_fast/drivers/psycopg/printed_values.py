"""Binary values that the core does not read, as psycopg loads their text.

A column may have another type than when it was last seen: it has been altered, or the
table is another schema's. The query has run, and is not sent again; the server is sent
the values instead, and prints them.
"""

from collections.abc import Callable, Generator, Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any

from psycopg import errors, generators, pq
from psycopg.adapt import Transformer

TEXT, BINARY = pq.Format.TEXT, pq.Format.BINARY
TUPLES_OK = pq.ExecStatus.TUPLES_OK

# A SELECT has 1,664 columns at most.
BATCH = 1_000

Load = Callable[[Any], Any]


def loads(connection: Any, result: Any, column: int) -> Load:
    """Return what loads the binary values of a result's column, from their text.

    Raises NotSupportedError where the server does not take them back.
    """
    oid = result.ftype(column)
    values = [result.get_value(row, column) for row in range(result.ntuples)]
    distinct = list(dict.fromkeys(value for value in values if value is not None))
    # The decoder is used up before the session is another block's.
    session = connection.__dict__.get("session", connection)
    adapters = SimpleNamespace(adapters=connection.adapters, connection=session)
    load = Transformer(adapters).get_loader(oid, TEXT).load
    try:
        texts = dict(zip(distinct, _printed(connection, oid, distinct), strict=True))
    except errors.DatabaseError as exc:
        raise errors.NotSupportedError(
            f"Column {column + 1} has another type than when it was last read (OID "
            f"{oid}), and the server does not convert its values. The query has run; "
            "the next one like it asks for text."
        ) from exc
    return partial(_load, load, texts)


def _load(load: Load, texts: dict[bytes, Any], value: Any) -> Any:
    # Anew for each row: the value may be mutable.
    return load(texts[bytes(value)])


def _printed(connection: Any, oid: int, values: list[bytes]) -> Iterable[bytes]:
    for first in range(0, len(values), BATCH):
        batch = values[first : first + BATCH]
        with connection.lock:
            printed = connection.wait(_print(connection, oid, batch))
        yield from (printed.get_value(0, i) for i in range(len(batch)))


def _print(connection: Any, oid: int, values: list[bytes]) -> Generator[Any, Any, Any]:
    query = b"SELECT " + b", ".join(b"$%d" % (i + 1) for i in range(len(values)))
    formats = [BINARY] * len(values)
    connection.pgconn.send_query_params(
        query, values, [oid] * len(values), formats, result_format=TEXT
    )
    (result,) = yield from generators.execute(connection.pgconn)
    if result.status != TUPLES_OK:
        raise errors.error_from_result(result, encoding=connection.info.encoding)
    return result

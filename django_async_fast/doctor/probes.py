"""What a server can do that the package needs of it: one probe for each.

For engines that speak PostgreSQL's protocol, and for what stands before a server. Each
probe does what the package does, in blocks on the alias, and leaves nothing behind.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from time import monotonic
from typing import Any
from uuid import UUID

import psycopg
from django.db import DatabaseError, connections, transaction

from ..bridge.driving import run
from ..connections.blocks import new_connection
from ..connections.dispatch import run_sync
from ..requests.lifespan import close_pools
from ..transactions.functions import aset_rollback
from ..transactions.isolation import atomic
from .answers import NO, NOTE, YES, Answer
from .findings import first_line

# Seconds for one probe.
LIMIT = 20.0


class Lacking(Exception):
    """The server does something else than PostgreSQL."""


Probe = Callable[[str], Awaitable[str]]
# Subject -> (probe, what to do without it; None where nothing works then).
_PROBES: dict[str, tuple[Probe, str | None]] = {}


def _probe(subject: str, without: str | None = None) -> Callable[[Probe], Probe]:
    def decorate(function: Probe) -> Probe:
        _PROBES[subject] = function, without
        return function

    return decorate


def answers(alias: str) -> list[Answer]:
    """Return the answers of the database `alias`. Raises what connecting to it does."""
    return run(_answers(alias))


async def _answers(alias: str) -> list[Answer]:
    try:
        async with new_connection(alias) as conn:
            await conn.aensure_connection()
            if conn.vendor != "postgresql":
                return [Answer("protocol", NOTE, f"{conn.display_name}: not probed")]
        return [await _asked(subject, alias) for subject in _PROBES]
    finally:
        await close_pools()


async def _asked(subject: str, alias: str) -> Answer:
    probe, without = _PROBES[subject]
    try:
        async with asyncio.timeout(LIMIT):
            return Answer(subject, YES, await probe(alias))
    except (DatabaseError, Lacking, TimeoutError) as exc:
        why = first_line(exc) or type(exc).__name__
    if without is None:
        return Answer(subject, NO, why)
    return Answer(subject, NOTE, f"{why}: {without}")


@asynccontextmanager
async def _cursor(alias: str) -> AsyncIterator[Any]:
    async with new_connection(alias) as conn, conn.acursor() as cursor:
        yield cursor


async def _one(cursor: Any, sql: str, *params: Any) -> Any:
    await cursor.execute(sql, params)
    (found,) = await cursor.fetchone()
    return found


def _expect(found: Any, expected: Any) -> None:
    if found != expected or type(found) is not type(expected):
        raise Lacking(f"{found!r} in the place of {expected!r}")


@_probe("server")
async def _server(alias: str) -> str:
    async with _cursor(alias) as cursor:
        return str(await _one(cursor, "SELECT version()")).partition(" on ")[0]


@_probe("nothing in between", "a pooler, or an engine of its own: see its mode below")
async def _direct(alias: str) -> str:
    async with new_connection(alias) as conn, conn.acursor() as cursor:
        pid = await _one(cursor, "SELECT pg_backend_pid()")
        _expect(pid, conn.connection.info.backend_pid)
    return "the server itself answers"


@_probe("transactions")
async def _transactions(alias: str) -> str:
    async with new_connection(alias) as conn, conn.acursor() as cursor:
        async with transaction.atomic(alias):
            first = await _one(cursor, "SELECT now()")
            await asyncio.sleep(0.002)
            _expect(await _one(cursor, "SELECT now()"), first)
        await cursor.execute("SELECT 1")
        _expect(conn.in_transaction(), False)
    return "BEGIN goes with the first statement"


@_probe("savepoints")
async def _savepoints(alias: str) -> str:
    async with _cursor(alias) as cursor, transaction.atomic(alias):
        for _ in range(2):
            try:
                async with transaction.atomic(alias):
                    await cursor.execute("SELECT 1 / (SELECT 0)")
            except DatabaseError:
                pass
            else:
                raise Lacking("an error went unnoticed")
            _expect(await _one(cursor, "SELECT 1"), 1)
    return "a failed one leaves its transaction usable"


@_probe("isolation levels", "do without atomic(isolation_level=...)")
async def _isolation(alias: str) -> str:
    serializable = atomic(alias, isolation_level="serializable")
    async with _cursor(alias) as cursor, serializable:
        level = await _one(cursor, "SHOW transaction_isolation")
    _expect(level, "serializable")
    return "serializable"


_SERVER_SIDE = "set DISABLE_SERVER_SIDE_CURSORS = True"


@_probe("cursors in a transaction", _SERVER_SIDE)
async def _cursors(alias: str) -> str:
    async with new_connection(alias), transaction.atomic(alias):
        await run_sync(_read_by_cursor, alias)
    return "rows come a chunk at a time"


@_probe("cursors outside of one", _SERVER_SIDE)
async def _held_cursors(alias: str) -> str:
    async with new_connection(alias):
        await run_sync(_read_by_cursor, alias)
    return "WITH HOLD"


def _read_by_cursor(alias: str) -> None:
    wrapper = connections[alias]
    wrapper.ensure_connection()
    with wrapper.wrap_database_errors, wrapper.create_cursor("daf_probe") as cursor:
        cursor.execute("SELECT number FROM generate_series(1, 5) AS number")
        found = [cursor.fetchmany(2), cursor.fetchmany(2), cursor.fetchmany(2)]
    _expect(found, [[(1,), (2,)], [(3,), (4,)], [(5,)]])


_VALUES: dict[str, tuple[str, Any]] = {
    "boolean": ("true", True),
    "integers": ("1::int2 + 2::int4 + 3::int8", 6),
    "double precision": ("1.5::float8", 1.5),
    "numeric": ("12.50::numeric(8, 2)", Decimal("12.50")),
    "text": ("'é'::text", "é"),
    "varchar": ("'ab'::varchar(5)", "ab"),
    "bytea": (r"'\x00ff'::bytea", b"\x00\xff"),
    "date": ("'2024-02-29'::date", date(2024, 2, 29)),
    "time": ("'12:30:01.5'::time", time(12, 30, 1, 500000)),
    "timestamptz": (
        "'2024-02-29 12:30:01.5+00'::timestamptz",
        datetime(2024, 2, 29, 12, 30, 1, 500000, UTC),
    ),
    "interval": ("'1 day 00:00:01.5'::interval", timedelta(days=1, seconds=1.5)),
    "uuid": (
        "'12345678-1234-5678-1234-567812345678'::uuid",
        UUID("12345678-1234-5678-1234-567812345678"),
    ),
    "jsonb": ("""'{"a": [1, null]}'::jsonb""", {"a": [1, None]}),
    "arrays": ("'{1,NULL,3}'::int4[]", [1, None, 3]),
}


@_probe("types")
async def _types(alias: str) -> str:
    wrong = []
    async with new_connection(alias) as conn:
        for binary in (False, True):
            for name, (sql, expected) in _VALUES.items():
                try:
                    found = await run_sync(_value, conn, sql, binary)
                    if isinstance(expected, dict) and isinstance(found, str):
                        found = json.loads(found)
                    if isinstance(expected, datetime):
                        found = found.astimezone(UTC)
                    _expect(found, expected)
                except (DatabaseError, Lacking, ValueError) as exc:
                    kind = "binary" if binary else "text"
                    wrong.append(f"{name} in {kind} ({exc})")
    if wrong:
        raise Lacking("; ".join(wrong))
    return f"{', '.join(_VALUES)}, in text and binary"


def _value(conn: Any, sql: str, binary: bool) -> Any:
    conn.ensure_connection()
    raw = conn.connection
    with conn.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(f"SELECT {sql}", binary=binary)
        row = cursor.fetchone()
    return row and row[0]


_CREATE = "CREATE TEMPORARY TABLE daf_probe (id serial PRIMARY KEY, a int UNIQUE)"
_INSERT = """
    INSERT INTO daf_probe (a) SELECT * FROM UNNEST(%s::int[])
    ON CONFLICT (a) DO UPDATE SET a = EXCLUDED.a RETURNING a
"""
_UPDATE = """
    UPDATE daf_probe SET a = v.b FROM UNNEST(%s::int[], %s::int[]) AS v(a, b)
    WHERE daf_probe.a = v.a
"""


@_probe("writes of many", "bulk_create() and bulk_update() need UNNEST")
async def _writes(alias: str) -> str:
    async with _cursor(alias) as cursor, transaction.atomic(alias):
        try:
            await cursor.execute(_CREATE)
            await cursor.execute(_INSERT, [[1, 2, 3]])
            _expect(await cursor.fetchall(), [(1,), (2,), (3,)])
            await cursor.execute(_UPDATE, [[1, 2], [11, 12]])
            _expect(cursor.rowcount, 2)
        finally:
            await aset_rollback(True, using=alias)
    return "RETURNING, ON CONFLICT, UNNEST"


@_probe("COPY", "do without copy_to() and copy_from()")
async def _copy(alias: str) -> str:
    async with _cursor(alias) as cursor:
        found = b""
        async with cursor.copy("COPY (SELECT 1, 'a') TO STDOUT") as copy:
            while data := await copy.read():
                found += bytes(data)
    _expect(found, b"1\ta\n")
    return "to the client"


@_probe("cancellation", "a cancelled query closes its connection")
async def _cancellation(alias: str) -> str:
    async with new_connection(alias) as conn:
        await conn.aensure_connection()
        raw = conn.connection
        began = monotonic()
        try:
            async with asyncio.timeout(0.1), conn.acursor() as cursor:
                await cursor.execute("SELECT pg_sleep(5)")
        except TimeoutError:
            pass
        took = monotonic() - began
        if conn.connection is not raw or raw.closed or took > 2.5:
            raise Lacking("the server goes on")
    return f"after {took * 1000 - 100:.0f} ms"


_TRANSACTION_MODE = "as behind a pooler in transaction mode"


@asynccontextmanager
async def _after_others(
    alias: str, begin: Callable[[Any], Awaitable[Any]]
) -> AsyncIterator[Any]:
    """Yield a cursor which `begin` was called with, while another is in a transaction.

    A pooler in transaction mode has lent it the session that `begin` had, if that was
    the last one to become free.
    """
    async with new_connection(alias) as conn, conn.acursor() as cursor:
        await begin(cursor)
        busy, done = asyncio.Event(), asyncio.Event()
        other = asyncio.create_task(_occupy(alias, busy, done))
        try:
            await asyncio.wait(
                [other, asyncio.ensure_future(busy.wait())],
                return_when=asyncio.FIRST_COMPLETED,
            )
            yield cursor
        finally:
            done.set()
            await other


async def _occupy(alias: str, busy: asyncio.Event, done: asyncio.Event) -> None:
    async with _cursor(alias) as cursor, transaction.atomic(alias):
        await cursor.execute("SELECT 1")
        busy.set()
        await done.wait()


@_probe("sessions", f"{_TRANSACTION_MODE}: no SET, LISTEN, temporary tables")
async def _sessions(alias: str) -> str:
    # PgBouncer takes some settings along, not those that it does not know.
    async def begin(cursor: Any) -> None:
        await cursor.execute("SELECT set_config('daf.probe', 'here', false)")

    async with _after_others(alias, begin) as cursor:
        found = await _one(cursor, "SELECT current_setting('daf.probe', true)")
        await cursor.execute("SELECT set_config('daf.probe', '', false)")
    _expect(found, "here")
    return "what SET does stays"


@_probe("advisory locks", f"{_TRANSACTION_MODE}: pg_advisory_xact_lock() only")
async def _locks(alias: str) -> str:
    key = 7_361_532_941

    async def begin(cursor: Any) -> None:
        await cursor.execute("SELECT pg_advisory_lock(%s)", [key])

    async with _after_others(alias, begin) as cursor:
        found = await _one(cursor, "SELECT pg_advisory_unlock(%s)", key)
    _expect(found, True)
    return "of a session"


@_probe("prepared statements", "leave prepare_threshold out")
async def _prepared(alias: str) -> str:
    async def begin(cursor: Any) -> None:
        await run_sync(_execute_prepared, alias, cursor)

    async with _after_others(alias, begin) as cursor:
        await run_sync(_execute_prepared, alias, cursor)
    return "of a session"


def _execute_prepared(alias: str, cursor: Any) -> None:
    wrapper = connections[alias]
    with wrapper.wrap_database_errors, psycopg.Cursor(wrapper.connection) as inner:
        inner.execute("SELECT %s::int + 1", [1], prepare=True)
        _expect(inner.fetchone(), (2,))


@_probe("notifications", "do without anotifies()")
async def _notifications(alias: str) -> str:
    async with (
        new_connection(alias) as conn,
        conn.acursor() as cursor,
        conn.anotifies("daf_probe", timeout=2) as notes,
    ):
        await cursor.execute("SELECT pg_notify('daf_probe', 'here')")
        async for note in notes:
            _expect(note.payload, "here")
            return "LISTEN and NOTIFY"
    raise Lacking("none has come")

"""Whether a pooler stands before the server, and what it does not go with.

A pooler answers for many sessions, so the process number that it gives a client when it
connects is not that of the session which runs the client's statement. In transaction
mode it lends that session to others while the client has no transaction open.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import psycopg
from django.db.utils import load_backend
from psycopg.generators import execute

# Follows prepared statements from one session to another.
PGBOUNCER_PREPARES = (1, 21)
# Seconds for a connection that waits until a pooler has a session for it.
PATIENCE = 5


class Unsafe(NamedTuple):
    """Something that does not go with a pooler: what happens, and the remedy."""

    number: int  # of Django's system check about it
    certain: bool
    text: str
    remedy: str


class Pooler(NamedTuple):
    """What stands before a server."""

    text: str
    unsafe: list[Unsafe]


class PgBouncer(NamedTuple):
    """What its admin console says."""

    version: tuple[int, ...]
    mode: str
    prepared_statements: int


def wrapper_without_pool(settings: dict[str, Any], alias: str) -> Any:
    """Return a wrapper of Django's own for a database, with a connection to itself."""
    options = {k: v for k, v in settings["OPTIONS"].items() if k != "pool"}
    backend = load_backend(settings["ENGINE"]).DatabaseWrapper
    return backend({**settings, "OPTIONS": options}, alias)


def before(wrapper: Any) -> Pooler | None:
    """Return what stands between `wrapper` and its server, None for nothing."""
    wrapper.ensure_connection()
    if wrapper.connection.info.backend_pid == _session(wrapper):
        return None
    lends: bool | None
    if (found := _pgbouncer(wrapper)) is not None:
        text = f"PgBouncer {'.'.join(map(str, found.version))} in {found.mode} mode"
        lends = found.mode != "session"
    else:
        lends = _lends_sessions(wrapper)
        mode = {None: "some", True: "transaction", False: "session"}[lends]
        text = f"a pooler before the server, in {mode} mode"
    if lends is False:
        return Pooler(text, [])
    unsafe = _in_transaction_mode(wrapper, found)
    return Pooler(text, [e._replace(certain=bool(e.certain and lends)) for e in unsafe])


def _in_transaction_mode(wrapper: Any, found: PgBouncer | None) -> Iterator[Unsafe]:
    settings = wrapper.settings_dict
    if not settings.get("DISABLE_SERVER_SIDE_CURSORS"):
        text = "a stream outside of atomic() loses its cursor in transaction mode"
        yield Unsafe(3, True, text, "DISABLE_SERVER_SIDE_CURSORS = True")
    yield from _prepared(settings["OPTIONS"], found)
    if settings["OPTIONS"].get("assume_role"):
        text = "in transaction mode others have next what assume_role has set"
        remedy = "a user of the database for each role, or a pooler in session mode"
        yield Unsafe(5, True, text, remedy)
    if left := _left_behind(wrapper):
        text = f"in transaction mode a session was left to others with {left}"
        remedy = (
            "in atomic() SET LOCAL and pg_advisory_xact_lock(); LISTEN on an alias "
            "that goes to the server itself"
        )
        yield Unsafe(6, False, text, remedy)


def _prepared(options: dict[str, Any], found: PgBouncer | None) -> Iterator[Unsafe]:
    follows = (
        found is not None
        and found.version >= PGBOUNCER_PREPARES
        and found.prepared_statements > 0
    )
    if options.get("prepare_threshold") is None or follows:
        return
    does = "may not" if found is None else "does not"
    text = f"prepare_threshold is set, and the pooler {does} follow prepared statements"
    remedy = (
        "leave prepare_threshold out, or set max_prepared_statements of PgBouncer 1.21 "
        "or later"
    )
    yield Unsafe(4, found is not None, text, remedy)


def _session(wrapper: Any) -> Any:
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def _lends_sessions(wrapper: Any) -> bool | None:
    """Tell whether others get the session of `wrapper`, which is in no transaction.

    None where none is free, and it cannot be told.
    """
    session = _session(wrapper)
    params = wrapper.get_connection_params() | {"connect_timeout": PATIENCE}
    try:
        with closing(psycopg.connect(**params)) as other:
            # What it gets it keeps.
            other.pgconn.send_query(b"BEGIN; SELECT pg_backend_pid()")
            *_, result = other.wait(execute(other.pgconn), timeout=PATIENCE)
            if result.get_value(0, 0) == str(session).encode():
                return True
            return any(_session(wrapper) != session for _ in range(3))
    except psycopg.Error:
        return None


_LEFT_BEHIND = """
    SELECT 'SET ' || name FROM pg_settings
    WHERE source = 'session' AND name NOT IN (
        'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings',
        'application_name', 'IntervalStyle'
    )
    UNION ALL SELECT 'LISTEN ' || pg_listening_channels()
    UNION ALL SELECT 'an advisory lock' FROM pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid()
    UNION ALL SELECT 'temporary table ' || relname FROM pg_class
    WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r'
    ORDER BY 1
"""


def _left_behind(wrapper: Any) -> str:
    """Return what was left in a session that `wrapper` is lent."""
    with wrapper.cursor() as cursor:
        cursor.execute(_LEFT_BEHIND)
        return ", ".join(name for (name,) in cursor.fetchall())


def _pgbouncer(wrapper: Any) -> PgBouncer | None:
    """Ask PgBouncer's admin console; None where it does not let us, or is not one."""
    params = {
        **wrapper.get_connection_params(),
        "dbname": "pgbouncer",
        "autocommit": True,
    }
    params.pop("context", None)
    # It knows the simple protocol only, and no SQL.
    params |= {"cursor_factory": psycopg.ClientCursor, "connect_timeout": 5}
    try:
        with closing(psycopg.connect(**params)) as console:
            version = str(console.execute("SHOW VERSION").fetchone())
            config = {
                str(row[0]): str(row[1]) for row in console.execute("SHOW CONFIG")
            }
            modes = console.execute("SHOW DATABASES")
            assert modes.description is not None
            columns = [column.name for column in modes.description]
            of_each = {row[0]: row[columns.index("pool_mode")] for row in modes}
    except (psycopg.Error, ValueError):
        return None
    name = wrapper.settings_dict["NAME"]
    digits = "".join(c if c.isdigit() else " " for c in version).split()
    return PgBouncer(
        tuple(map(int, digits[:3])),
        of_each.get(name) or config.get("pool_mode", "unknown"),
        int(config.get("max_prepared_statements", "0")),
    )

"""Whether a pooler stands before the server, and what it does not go with.

A pooler answers for many sessions, so the process number that it gives a client when it
connects is not that of the session which runs the client's statement.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg

from .findings import Finding, note, ok, problem

# Follows prepared statements from one session to another.
PGBOUNCER_PREPARES = (1, 21)


class PgBouncer(NamedTuple):
    """What its admin console says."""

    version: tuple[int, ...]
    mode: str
    prepared_statements: int


def findings(wrapper: Any) -> Iterator[Finding]:
    """Yield what is found between `wrapper`, which is connected, and its server."""
    if not _is_pooled(wrapper):
        return
    found = _pgbouncer(wrapper)
    if found is None:
        yield note(
            "a pooler before the server, of a kind or in a mode that it does not tell",
            "in transaction mode see the page about PgBouncer",
        )
    else:
        text = f"PgBouncer {'.'.join(map(str, found.version))} in {found.mode} mode"
        yield ok(text)
    if found is None or found.mode != "session":
        yield from _in_transaction_mode(wrapper, found)


def _in_transaction_mode(wrapper: Any, found: PgBouncer | None) -> Iterator[Finding]:
    settings = wrapper.settings_dict
    # A pooler that tells nothing may be in session mode.
    said = note if found is None else problem
    if not settings.get("DISABLE_SERVER_SIDE_CURSORS"):
        yield said(
            "a stream outside of atomic() loses its cursor in transaction mode",
            "DISABLE_SERVER_SIDE_CURSORS = True",
        )
    if settings["OPTIONS"].get("prepare_threshold") is None or (
        found is not None
        and found.version >= PGBOUNCER_PREPARES
        and found.prepared_statements
    ):
        return
    yield said(
        "prepare_threshold is set, and the pooler does not follow prepared statements",
        "leave prepare_threshold out, or set max_prepared_statements of PgBouncer 1.21 "
        "or later",
    )


def _is_pooled(wrapper: Any) -> bool:
    wrapper.ensure_connection()
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (session,) = cursor.fetchone()
    return bool(wrapper.connection.info.backend_pid != session)


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
        with psycopg.connect(**params) as console:
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

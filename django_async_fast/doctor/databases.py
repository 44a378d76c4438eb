"""How a block waits for each database, what pool it has, and whether it answers."""

import time
from collections.abc import Iterator
from typing import Any

from django.db import DatabaseError, connections

from .. import conf
from ..bridge.driving import run
from ..connections import poolers
from ..connections.blocks import new_connection
from ..connections.threaded_wrapper import ThreadedWrapper
from ..requests.lifespan import close_pools
from .findings import Finding, first_line, note, ok, problem

OLDEST_POSTGRESQL = 14_00_00


def findings() -> Iterator[Finding]:
    """Yield what is found at each alias of DATABASES. Connects to them."""
    for alias in connections.settings:
        for level, text, remedy in of_alias(alias):
            yield Finding(level, f"{alias}: {text}", remedy)


def of_alias(alias: str) -> Iterator[Finding]:
    """Yield what is found at one of them."""
    settings = connections.settings[alias]
    if settings["ENGINE"] == "django.db.backends.dummy":
        yield ok("none: DATABASES is empty")
        return
    try:
        kind, took = run(_answered(alias))
    except Exception as exc:
        yield problem(
            f"no answer in a block: {type(exc).__name__}: {first_line(exc)}",
            "see DATABASES, and whether the server is up",
        )
        return
    yield _waits(kind, alias, took)
    if kind.vendor == "postgresql":
        yield from _postgresql(settings, alias)


async def _answered(alias: str) -> tuple[type[Any], float]:
    """Return the class of the block's wrapper, and its first answer's milliseconds."""
    started = time.perf_counter()
    try:
        async with new_connection(alias) as conn:
            async with conn.acursor() as cursor:
                await cursor.execute("SELECT 1" + conn.features.bare_select_suffix)
            return type(conn), (time.perf_counter() - started) * 1000
    finally:
        await close_pools()


def _waits(kind: type[Any], alias: str, took: float) -> Finding:
    if not issubclass(kind, ThreadedWrapper):
        return ok(f"{kind.display_name}, waited for on the loop: {took:.1f} ms")
    text = f"{kind.display_name}, in a thread for each connection: {took:.1f} ms"
    if alias in conf.get("THREADED"):
        return note(text, f"THREADED says so: take {alias!r} out for a fast disk")
    return note(text, "on the loop are PostgreSQL, SQLite, MySQL and MariaDB")


def _postgresql(settings: dict[str, Any], alias: str) -> Iterator[Finding]:
    wrapper = poolers.wrapper_without_pool(settings, alias)
    try:
        yield from _server(wrapper)
        yield from _pool(wrapper, settings)
        yield from _pooler(wrapper)
    except DatabaseError as exc:
        yield problem(f"no answer to Django: {first_line(exc)}", "see DATABASES")
    finally:
        wrapper.close()


def _pooler(wrapper: Any) -> Iterator[Finding]:
    if (pooler := poolers.before(wrapper)) is None:
        return
    yield ok(pooler.text)
    for each in pooler.unsafe:
        said = problem if each.certain else note
        yield said(each.text, each.remedy)


def _server(wrapper: Any) -> Iterator[Finding]:
    wrapper.ensure_connection()
    version = wrapper.pg_version
    text = f"PostgreSQL {version // 10_000}.{version % 10_000}"
    if version < OLDEST_POSTGRESQL:
        yield problem(f"{text} is older than 14", "upgrade the server")
    else:
        yield ok(text)
    with wrapper.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM pg_settings WHERE setting <> '0' AND name IN "
            "('statement_timeout', 'idle_in_transaction_session_timeout', "
            "'transaction_timeout') ORDER BY name"
        )
        limits = ", ".join(name for (name,) in cursor.fetchall())
    if limits:
        yield note(
            f"{limits} set: streams do not fetch their next chunk ahead, or end their "
            "transaction after the first",
            "nothing to do, unless streams matter: set it by role or statement",
        )


def _pool(wrapper: Any, settings: dict[str, Any]) -> Iterator[Finding]:
    pool = settings["OPTIONS"].get("pool")
    if not pool:
        yield note(
            "no pool: each block with a query opens a connection",
            '"OPTIONS": {"pool": True}',
        )
        return
    if settings["CONN_MAX_AGE"] != 0:
        yield problem("CONN_MAX_AGE with a pool", "CONN_MAX_AGE = 0")
    sizes = {} if pool is True else pool
    smallest = sizes.get("min_size", 4)
    largest = sizes.get("max_size") or smallest
    yield ok(f"a pool of {smallest} to {largest} connections for each loop and process")
    with wrapper.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
        )
        (allowed,) = cursor.fetchone()
    if largest > allowed:
        yield problem(
            f"max_size is {largest}, and the server allows {allowed} connections",
            "a smaller max_size, or a larger max_connections",
        )

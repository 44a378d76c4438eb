"""Every seam into Django, in one list, with its reason.

A seam is an attribute of Django's (or asgiref's) that is replaced or added:
`installation.py`. A function in the place of another calls what was there: its
`__wrapped__`, as a decorator's is.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from .. import _native, pages


class Seam(NamedTuple):
    """One replaced attribute of an object or module."""

    owner: Any
    name: str
    replacement: Any
    reason: str


# Modules of Django's whose async methods are `sync_to_async(self.method)`: in a
# block they run on the bridge. Not here, so that they keep their thread:
# django.contrib.auth.hashers (burns CPU), django.core.handlers (sync views and
# middleware), django.contrib.staticfiles and django.http (files), django.tasks.
NATIVE_MODULES = (
    "django.contrib.auth",
    "django.contrib.auth.backends",
    "django.contrib.auth.decorators",
    "django.contrib.contenttypes.fields",
    "django.contrib.sessions.backends.base",
    "django.contrib.sessions.backends.db",
    "django.core.paginator",
    "django.db.models.base",
    "django.db.models.fields.related_descriptors",
    "django.db.models.query",
    "django.dispatch.dispatcher",
)
# Modules of other people's that hook themselves into connections in a function which
# they give to `sync_to_async()`: in a block those are the block's.
HOOKING_MODULES = ("debug_toolbar.panels.sql.panel", "pghistory.runtime")
CACHE_MODULE = "django.core.cache.backends.base"
HANDLER_MODULE = "django.core.handlers.base"


def seams() -> Iterator[Seam]:
    """Yield every seam but those in modules, which may not be imported yet."""
    yield from _connection_seams()
    yield from _transaction_seams()
    yield from _queryset_seams()
    yield from _driver_seams()
    yield from _error_seams()
    yield from _request_seams()
    if _native.COMPILED:
        yield from (Seam(*each) for each in pages.seams())


def _connection_seams() -> Iterator[Seam]:
    import django.db
    from asgiref.current_thread_executor import CurrentThreadExecutor
    from asgiref.sync import AsyncToSync, SyncToAsync
    from django.db import connections
    from django.db.utils import ConnectionHandler

    from ..connections import blocks, dispatch, lent_thread_locals, routing

    yield Seam(
        connections,
        "_connections",
        routing.ConnectionStorage(connections._connections),
        "connections[alias] in a block is the block's connection",
    )
    yield Seam(
        ConnectionHandler,
        "create_connection",
        routing.create_connection,
        "in a block a new wrapper is one of the block's",
    )
    yield Seam(
        AsyncToSync,
        "__call__",
        dispatch.async_to_sync_call,
        "async code called by sync code on the bridge shares its loop",
    )
    yield Seam(
        SyncToAsync,
        "__call__",
        dispatch.sync_to_async_call,
        "a thread that a block's task waits for has the block's connections",
    )
    yield Seam(
        CurrentThreadExecutor,
        "submit",
        lent_thread_locals.submit,
        "a thread that has lent its threading.local values takes them back to work",
    )
    for name in ("new_connection", "async_connections"):
        yield Seam(django.db, name, getattr(blocks, name), "DEP 0009's import path")


def _transaction_seams() -> Iterator[Seam]:
    from django.db import transaction
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.transaction import Atomic

    from ..transactions import atomic as ours
    from ..transactions import functions

    scope = "an atomic block on a block's connection is a scope of it"
    yield Seam(Atomic, "__enter__", ours.enter, scope)
    yield Seam(Atomic, "__exit__", ours.leave, scope)
    yield Seam(Atomic, "__aenter__", ours.aenter, "async with atomic()")
    yield Seam(Atomic, "__aexit__", ours.aexit, "async with atomic()")
    yield Seam(Atomic, "__call__", ours.decorate, "@atomic on async def")
    yield Seam(
        BaseDatabaseWrapper,
        "on_commit",
        functions.on_commit,
        "callbacks may be async def",
    )
    yield Seam(
        transaction,
        "mark_for_rollback_on_error",
        functions.mark_for_rollback_on_error,
        "an error is of its task's transaction",
    )
    for name, function in functions.ADDED.items():
        yield Seam(transaction, name, function, "DEP 0009's functions")


def _queryset_seams() -> Iterator[Seam]:
    from .. import _native
    from ..querysets import changes, iterables, replaced_writes
    from ..querysets.compiled import execution, methods

    yield from (Seam(*each) for each in iterables.seams())
    if _native.COMPILED:
        for room in (methods, execution, changes, replaced_writes):
            yield from (Seam(*each) for each in room.seams())


def _driver_seams() -> Iterator[Seam]:
    from .. import _native

    try:
        import psycopg
        from django.db.backends.postgresql.base import DatabaseWrapper

        from ..drivers.psycopg import connect_hooks, open_cursors
    except ImportError:
        return  # no psycopg 3: nothing that a block could connect to
    reason = "whoever has replaced connect() is called, and a block's is opened inside"
    yield Seam(psycopg.Connection, "_connect_gen", connect_hooks.connect_gen, reason)
    if _native.COMPILED:
        reason = "a pool gets a connection without open cursors or chunks in flight"
        yield Seam(DatabaseWrapper, "_close", open_cursors.close, reason)


def _error_seams() -> Iterator[Seam]:
    from django.db.models import query
    from django.utils import asyncio as guard
    from django.utils import deprecation

    from . import file_prefixes, lazy_access, refusals

    reason = "a query below a driven coroutine waits on the loop"
    yield Seam(guard, "get_running_loop", lazy_access.get_running_loop, reason)
    reason = "a query that nobody can await is told what it was for, and the ways out"
    yield Seam(guard, "SynchronousOnlyOperation", refusals.refusal, reason)
    name = "django_file_prefixes"
    reason = "Django's warnings name the line that called it, not one of ours"
    if hasattr(deprecation, name):
        yield Seam(deprecation, name, file_prefixes.django_file_prefixes, reason)
    name = "warn_about_external_use"
    if hasattr(query, name):
        yield Seam(query, name, file_prefixes.warn_about_external_use, reason)


def _request_seams() -> Iterator[Seam]:
    from django.core import signals
    from django.utils.deprecation import MiddlewareMixin

    from ..requests import prepared_connection, receivers

    reason = "in a request that has no connection none is looked for"
    yield Seam(signals.request_finished, "send", receivers.send_finished, reason)
    reason = "what middleware sets on the request's connection holds for its block"
    yield Seam(MiddlewareMixin, "__init__", prepared_connection.initialise, reason)

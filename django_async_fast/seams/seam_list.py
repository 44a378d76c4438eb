"""Every seam into Django, in one list, with its reason. Reversible.

A seam is an attribute of Django's (or asgiref's) that is replaced or added. A function
in the place of another calls what was there: its `__wrapped__`, as a decorator's is.
Modules that are not imported yet are patched when they are: importing a contrib module
whose app is not installed would fail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import update_wrapper
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

_MISSING: Any = object()


class Seam(NamedTuple):
    """One replaced attribute of an object or module."""

    owner: Any
    name: str
    replacement: Any
    reason: str


class _Applied(NamedTuple):
    owner: Any
    name: str
    before: Any
    replacement: Any

    def is_in_place(self) -> bool:
        """Tell whether nobody has put something else there since."""
        return vars(self.owner).get(self.name, _MISSING) is self.replacement


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

_applied: list[_Applied] = []
_on_import: _PatchOnImport | None = None


def seams() -> Iterator[Seam]:
    """Yield every seam but those in modules, which may not be imported yet."""
    yield from _connection_seams()
    yield from _transaction_seams()
    yield from _queryset_seams()
    yield from _driver_seams()
    yield from _error_seams()
    yield from _request_seams()


def _connection_seams() -> Iterator[Seam]:
    import django.db
    from asgiref.sync import AsyncToSync, SyncToAsync
    from django.db import connections
    from django.db.utils import ConnectionHandler

    from ..connections import blocks, dispatch, routing

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
    for name, function in functions.ADDED.items():
        yield Seam(transaction, name, function, "DEP 0009's functions")


def _queryset_seams() -> Iterator[Seam]:
    from django.db.models import QuerySet
    from django.db.models.sql.compiler import SQLInsertCompiler

    from .. import _native
    from ..querysets import changes, iterables
    from ..querysets.bulk import inserts as bulk_inserts
    from ..querysets.bulk import updates as bulk_updates
    from ..querysets.compiled import execution, methods, replaced_writes
    from ..unpatched import is_like

    yield from (Seam(*each) for each in iterables.seams())
    if _native.COMPILED:
        for room in (methods, execution, changes, replaced_writes):
            yield from (Seam(*each) for each in room.seams())
        arrays = "the values of many objects go as a binary array for each column"
        for owner, name, replacement in (
            (SQLInsertCompiler, "execute_sql", bulk_inserts.execute_sql),
            (QuerySet, "bulk_update", bulk_updates.bulk_update),
        ):
            if is_like(owner, owner, (name,)):
                yield Seam(owner, name, replacement, arrays)


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
    from django.utils import asyncio as guard
    from django.utils import deprecation

    from . import file_prefixes, lazy_access, refusals

    yield Seam(
        guard,
        "get_running_loop",
        lazy_access.get_running_loop,
        "a query below a driven coroutine waits on the loop",
    )
    yield Seam(
        guard,
        "SynchronousOnlyOperation",
        refusals.refusal,
        "a query that nobody can await is told what it was for, and the ways out",
    )
    if hasattr(deprecation, "django_file_prefixes"):
        yield Seam(
            deprecation,
            "django_file_prefixes",
            file_prefixes.django_file_prefixes,
            "Django's warnings name the line that called it, not one of ours",
        )


def _request_seams() -> Iterator[Seam]:
    from django.utils.deprecation import MiddlewareMixin

    from ..requests import prepared_connection

    yield Seam(
        MiddlewareMixin,
        "__init__",
        prepared_connection.initialise,
        "what middleware sets on the request's connection holds for its block",
    )


def install() -> None:
    """Install every seam. The app does, when it is made; calling it twice is fine."""
    global _on_import
    from . import file_prefixes

    if _on_import is not None:
        return
    for module in file_prefixes.importers():
        _apply(module, "django_file_prefixes", file_prefixes.django_file_prefixes)
    for owner, name, replacement, _ in list(seams()):
        _apply(owner, name, replacement)
    waiting: dict[str, Callable[[ModuleType], None]]
    patched = (*NATIVE_MODULES, *HOOKING_MODULES, CACHE_MODULE)
    waiting = dict.fromkeys(patched, _patch_module)
    waiting[HANDLER_MODULE] = _patch_handler
    for name in [name for name in waiting if name in sys.modules]:
        waiting.pop(name)(sys.modules[name])
    _on_import = _PatchOnImport(waiting)
    sys.meta_path.insert(0, _on_import)


def install_blocking() -> None:
    """Have what the setting BLOCKING names run in threads, once models are there."""
    from ..connections import blocking_code

    for owner, name, replacement in blocking_code.named():
        _apply(owner, name, replacement)


def uninstall() -> None:
    """Take every seam out again. Open blocks must have ended.

    A seam that a tool has wrapped since stays inside of that, where it does nothing
    without a block.
    """
    global _on_import
    if _on_import is not None:
        sys.meta_path.remove(_on_import)
        _on_import = None
    left = []
    while _applied:
        applied = _applied.pop()
        if not applied.is_in_place():
            left.append(applied)
        elif applied.before is _MISSING:
            delattr(applied.owner, applied.name)
        else:
            setattr(applied.owner, applied.name, applied.before)
    _applied.extend(reversed(left))


def _apply(owner: Any, name: str, replacement: Any) -> None:
    # Only the owner's own attribute can be put back: an inherited one is
    # uncovered again by deleting the replacement.
    before = vars(owner).get(name, _MISSING)
    for each in [e for e in _applied if (e.owner, e.name) == (owner, name)]:
        if before is not each.before:
            return  # it is inside of what a tool has put there
        _applied.remove(each)
    if type(replacement) is FunctionType and hasattr(before, "__get__"):
        update_wrapper(replacement, before)
    _applied.append(_Applied(owner, name, before, replacement))
    setattr(owner, name, replacement)


def _patch_module(module: ModuleType) -> None:
    from ..connections import dispatch

    cache = module.__name__ == CACHE_MODULE
    replacement = dispatch.cache_sync_to_async if cache else dispatch.sync_to_async
    _apply(module, "sync_to_async", replacement)


def _patch_handler(module: ModuleType) -> None:
    from ..requests import request_block

    # ATOMIC_REQUESTS for asynchronous views, inside the middleware.
    _apply(module.BaseHandler, "make_view_atomic", request_block.make_view_atomic)


class _PatchOnImport(MetaPathFinder):
    """Patches a module when it is imported."""

    def __init__(self, waiting: dict[str, Callable[[ModuleType], None]]) -> None:
        self.waiting = waiting

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        patch = self.waiting.get(name)
        if patch is None:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self.waiting.pop(name, None)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

"""Every seam into Django, in one list, with its reason. Reversible.

A seam is an attribute of Django's (or asgiref's) that is replaced or added.
Modules that are not imported yet are patched when they are: importing a
contrib module whose app is not installed would fail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, NamedTuple

_MISSING: Any = object()


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
CACHE_MODULE = "django.core.cache.backends.base"
HANDLER_MODULE = "django.core.handlers.base"

_applied: list[tuple[Any, str, Any]] = []
_later: _Later | None = None


def seams() -> Iterator[Seam]:
    """Yield every seam but those in modules, which may not be imported yet."""
    yield from _connection_seams()
    yield from _transaction_seams()
    yield from _queryset_seams()
    yield from _error_seams()


def _connection_seams() -> Iterator[Seam]:
    import django.db
    from asgiref.sync import AsyncToSync, SyncToAsync
    from django.db import connections
    from django.db.utils import ConnectionHandler

    from . import connections as ours
    from . import dispatch

    yield Seam(
        connections,
        "_connections",
        ours.Routed(connections._connections),
        "connections[alias] on the bridge is the block's connection",
    )
    yield Seam(
        ConnectionHandler,
        "create_connection",
        ours.create_connection,
        "on the bridge a new wrapper is one of the block's",
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
        "in debug mode a query that leaves the block for a thread is told",
    )
    for name in ("new_connection", "async_connections"):
        yield Seam(django.db, name, getattr(ours, name), "DEP 0009's import path")


def _transaction_seams() -> Iterator[Seam]:
    from django.db import transaction
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.transaction import Atomic

    from . import transaction as ours

    scope = "an atomic block on a block's connection is a scope of it"
    yield Seam(Atomic, "__enter__", ours.enter, scope)
    yield Seam(Atomic, "__exit__", ours.leave, scope)
    yield Seam(Atomic, "__aenter__", ours.aenter, "async with atomic()")
    yield Seam(Atomic, "__aexit__", ours.aexit, "async with atomic()")
    yield Seam(Atomic, "__call__", ours.decorate, "@atomic on async def")
    yield Seam(
        transaction,
        "get_connection",
        ours.get_connection,
        "on_commit() and set_rollback() in a coroutine mean the block's connection",
    )
    yield Seam(
        BaseDatabaseWrapper, "on_commit", ours.on_commit, "callbacks may be async def"
    )
    for name, function in ours.ADDED.items():
        yield Seam(transaction, name, function, "DEP 0009's functions")


def _queryset_seams() -> Iterator[Seam]:
    from django.db.models import QuerySet

    from . import _native, iterables, shapes

    yield from (Seam(*each) for each in iterables.seams())
    if _native.COMPILED:
        again = "the statement of a get() like one before is not built again"
        yield Seam(QuerySet, "get", shapes.get, again)


def _error_seams() -> Iterator[Seam]:
    from django.utils import asyncio as guard

    from . import refusals

    yield Seam(
        guard,
        "SynchronousOnlyOperation",
        refusals.refusal,
        "a query that nobody can await is told what it was for, and the ways out",
    )


def install() -> None:
    """Install every seam. Called by the app's `ready()`; calling it twice is fine."""
    global _later
    if _applied:
        return
    for owner, name, replacement, _ in list(seams()):
        _set(owner, name, replacement)
    waiting: dict[str, Callable[[ModuleType], None]]
    waiting = dict.fromkeys((*NATIVE_MODULES, CACHE_MODULE), _patch_module)
    waiting[HANDLER_MODULE] = _patch_handler
    for name in [name for name in waiting if name in sys.modules]:
        waiting.pop(name)(sys.modules[name])
    _later = _Later(waiting)
    sys.meta_path.insert(0, _later)


def uninstall() -> None:
    """Take every seam out again. Open blocks must have ended."""
    global _later
    if _later is not None:
        sys.meta_path.remove(_later)
        _later = None
    while _applied:
        owner, name, before = _applied.pop()
        if before is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


def _set(owner: Any, name: str, replacement: Any) -> None:
    # Only the owner's own attribute can be put back: an inherited one is
    # uncovered again by deleting the replacement.
    _applied.append((owner, name, vars(owner).get(name, _MISSING)))
    setattr(owner, name, replacement)


def _patch_module(module: ModuleType) -> None:
    from . import dispatch

    cache = module.__name__ == CACHE_MODULE
    replacement = dispatch.cache_sync_to_async if cache else dispatch.sync_to_async
    _set(module, "sync_to_async", replacement)


def _patch_handler(module: ModuleType) -> None:
    from .requests import request_block

    # ATOMIC_REQUESTS for asynchronous views, inside the middleware.
    _set(module.BaseHandler, "make_view_atomic", request_block.make_view_atomic)


class _Later(MetaPathFinder):
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

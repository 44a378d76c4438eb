"""Where Django's own async methods decide between a thread and the bridge.

Django's `aget()` is `await sync_to_async(self.get)()`. In the modules listed in
`seams/seam_list.py` that name is ours: in a block it runs the function on the bridge,
elsewhere it is asgiref's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from functools import partial, update_wrapper
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import AsyncToSync, SyncToAsync, markcoroutinefunction
from asgiref.sync import sync_to_async as threaded

from .. import _native, bridge
from ..bridge import driving
from . import block_threads, lent_thread_locals
from .blocks import current_block, open_block

P = ParamSpec("P")
T = TypeVar("T")

asgiref_call = AsyncToSync.__call__
asgiref_threaded_call = SyncToAsync.__call__


class sync_to_async:
    """asgiref's `sync_to_async`, that needs no thread in a block."""

    def __init__(self, func: Callable[..., Any] | None = None, **options: Any) -> None:
        self.func = func
        self.options = options
        # A thread of its own was asked for work that is not the database's:
        # password hashing.
        self.native = not options or options.get("thread_sensitive", True)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.func is None:  # a decorator with options
            return sync_to_async(*args, **self.options)
        if self.native and (block := current_block()) is not None:
            return block.run(self.func, *args, **kwargs)
        return threaded(self.func, **self.options)(*args, **kwargs)


def cache_sync_to_async(func: Any = None, **options: Any) -> Any:
    """`sync_to_async` for cache backends: only those that never leave Django.

    A cache in the database or in this process runs on the bridge; one behind a
    network or in files would block the loop and keeps its thread.
    """
    from django.core.cache.backends.db import DatabaseCache
    from django.core.cache.backends.dummy import DummyCache
    from django.core.cache.backends.locmem import LocMemCache

    native = isinstance(
        getattr(func, "__self__", None), (DatabaseCache, DummyCache, LocMemCache)
    )
    return (sync_to_async if native else threaded)(func, **options)


def async_to_sync_call(self: AsyncToSync[Any, Any], *args: Any, **kwargs: Any) -> Any:
    """`AsyncToSync.__call__`: on the bridge, await on the loop that is there."""
    if bridge.can_wait():
        return driving.await_driven(self.awaitable(*args, **kwargs))
    if not _native.COMPILED:
        return asgiref_call(self, *args, **kwargs)
    if block_threads.in_block_thread() and not lent_thread_locals.are_mine():
        # The block's calls have a set of their own, or the one that is lent already.
        return block_threads.wait_for_loop(self, *args, **kwargs)
    return lent_thread_locals.call(self, args, kwargs)


@markcoroutinefunction
def sync_to_async_call(
    self: SyncToAsync[Any, Any], *args: Any, **kwargs: Any
) -> Coroutine[Any, Any, Any]:
    """`SyncToAsync.__call__`: in a block, the thread is the block's."""
    block = open_block()
    if block is None:
        return asgiref_threaded_call(self, *args, **kwargs)
    if not self._thread_sensitive:
        if not block_threads.makes_error_page(self.func):
            return asgiref_threaded_call(self, *args, **kwargs)
        call = partial(block_threads.while_handling, sys.exception(), self.func)
        return block.run(call, *args, **kwargs)
    if block_threads.is_bridged(self):
        return block.run(self.func, *args, **kwargs)
    # A test's block is to be seen by what is tested.
    if not block.shared and block_threads.is_called_by_handler(sys._getframe(1)):
        return asgiref_threaded_call(self, *args, **kwargs)
    return block_threads.run(block, self, args, kwargs)


def awaiting(func: Callable[..., Any]) -> Callable[[], Any]:
    """Return a synchronous callback that awaits the `async def` callback `func`."""

    def callback() -> Any:
        return AsyncToSync(func)()

    return update_wrapper(callback, func)


async def run_sync(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call synchronous code whose database I/O is then awaited, not threaded.

    For serializers, forms, templates and everything else that uses the ORM.
    In a block it runs on the event loop's thread; outside it is
    `sync_to_async(func)(...)`. Work that blocks otherwise belongs in
    `asgiref.sync.sync_to_async`.
    """
    result: T = await sync_to_async(func)(*args, **kwargs)
    return result

"""The `threading.local` values of a thread that waits for a loop, lent to that loop.

Behind Django's own handler, synchronous middleware runs in the request's thread. It
waits there in `async_to_sync()` while the loop runs what is further in, and in stock
Django the queries of that are made in the waiting thread. Here they are made on the
loop, in bridged calls: those have the thread's values in place, until it goes on. What
the thread does for the loop meanwhile, it does with its values.
"""

import copy
from asyncio.events import _set_running_loop
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from asgiref.current_thread_executor import CurrentThreadExecutor
from asgiref.sync import AsyncToSync

from .. import _native, bridge
from ..bridge.workers import LOOP_IN_LOCALS

T = TypeVar("T")

asgiref_call: Callable[..., Any] = AsyncToSync.__call__
asgiref_submit: Callable[..., Future[Any]] = CurrentThreadExecutor.submit


def is_lent(thread_locals: Any) -> bool:
    """Tell whether a set of thread-locals is a thread's, for the time that it waits."""
    return _native.COMPILED and type(thread_locals) is _native.rows.LentThreadLocals


def are_mine() -> bool:
    """Tell whether the context has the caller's thread-locals, to be lent again."""
    thread_locals = bridge.thread_locals.get()
    return is_lent(thread_locals) and bool(thread_locals.is_here())


def call(call: AsyncToSync[Any, Any], args: Any, kwargs: Any) -> Any:
    """Return `call(*args, **kwargs)`: while it waits the thread's values are lent."""
    before = bridge.thread_locals.get()
    lent = before if are_mine() else _native.rows.LentThreadLocals(before)
    theirs = copy.copy(call)
    theirs.awaitable = partial(_lend, lent, call.awaitable)
    bridge.thread_locals.set(lent)
    try:
        return asgiref_call(theirs, *args, **kwargs)
    finally:
        _take_back(lent)
        bridge.thread_locals.set(before)


def _lend(lent: Any, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    # asgiref has looked into its own thread-locals by now; the loop knows of nothing.
    awaitable = func(*args, **kwargs)
    lent.lend()
    return awaitable


def _take_back(lent: Any) -> bool:
    taken: bool = lent.take_back()
    if taken and LOOP_IN_LOCALS:  # that of the bridged calls
        _set_running_loop(None)
    return taken


def submit(
    self: CurrentThreadExecutor, func: Callable[..., T], /, *args: Any, **kwargs: Any
) -> Future[T]:
    """`CurrentThreadExecutor.submit`: the thread works with its own values."""
    return asgiref_submit(self, _work, func, *args, **kwargs)


def _work(func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    lent = bridge.thread_locals.get()
    if not is_lent(lent) or not _take_back(lent):
        return func(*args, **kwargs)
    try:
        return func(*args, **kwargs)
    finally:
        lent.lend()

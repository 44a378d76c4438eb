"""The `threading.local` values of a block's calls, in the threads that they wait for.

In stock Django all synchronous code of a request runs in one thread: what middleware
has kept in a `threading.local` is there for a function that a view gives to
`sync_to_async()`. Here middleware runs on the loop, with values that are the block's
own, and the function's thread shares them while it runs.
"""

import asyncio
from asyncio.events import _set_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any, TypeVar

from asgiref.sync import SyncToAsync

from .. import _native, bridge
from ..bridge.workers import LOOP_IN_LOCALS

T = TypeVar("T")

# A set of values, and a share of it for one thread.
Values = tuple[Any, Any]

# What a thread has meanwhile, by its ident.
_values: dict[int, Values] = {}


def for_thread() -> Values | None:
    """Return the values of the context for the thread that it will wait for.

    None where they are the thread's own.
    """
    own = bridge.thread_locals.get()
    if not _native.COMPILED or type(own) is not _native.rows.ThreadLocals:
        return None
    return (own, own.shared()) if own.for_threads else None


def call(values: Values, loop: asyncio.AbstractEventLoop, func: Callable[[], T]) -> T:
    """Return `func()` in this thread, which has `values` of calls on `loop`."""
    thread = get_ident()
    before = _values.get(thread)
    if before is not None and before[0] is values[0]:
        return func()
    asgirefs = {**vars(SyncToAsync.threadlocal)}
    _values[thread] = values
    try:
        called: T = values[1].call(_call_as_thread, asgirefs, loop, func)
        return called
    finally:
        if before is None:
            del _values[thread]
        else:
            _values[thread] = before
        if LOOP_IN_LOCALS:  # asyncio remembers where it was, which goes with the share
            _set_running_loop(None)


def _call_as_thread(
    asgirefs: dict[str, Any], loop: asyncio.AbstractEventLoop, func: Callable[[], T]
) -> T:
    # What asgiref has told the thread stays, and there is no loop to be asked for.
    vars(SyncToAsync.threadlocal).update(asgirefs)
    asyncio.set_event_loop(None)
    try:
        return func()
    finally:
        asyncio.set_event_loop(loop)


@contextmanager
def while_waiting() -> Iterator[None]:
    """Have a thread and the calls that it waits for know what either has set."""
    if (values := _values.get(get_ident())) is None:
        yield
        return
    values[1].tell_new()
    try:
        yield
    finally:
        values[1].tell_new()

"""`threading.local` values that bridged calls see in place of the thread's.

Calls take turns in one thread: what one leaves in a `threading.local` would be seen by
the others.
"""

import asyncio
from contextvars import ContextVar
from typing import Any

from .. import _native

# The values of bridged calls in this context; None: the thread's.
thread_locals: ContextVar[Any] = ContextVar("daf_thread_locals", default=None)


def new_thread_locals() -> Any:
    """Return a set of `threading.local` values. Needs the compiled part."""
    own = _native.rows.ThreadLocals()
    # The loop that synchronous code may ask for is in a thread-local, too.
    own.call(asyncio.set_event_loop, asyncio.get_running_loop())
    return own


class own_thread_locals:
    """Have bridged calls of the context see `threading.local` values of their own.

    Needs the compiled part. What the context has inherited, from whoever started the
    server, does not count.
    """

    __slots__ = ("_outer", "_own")

    def __enter__(self) -> None:
        self._own = new_thread_locals()
        self._outer = thread_locals.get()
        thread_locals.set(self._own)

    def __exit__(self, *exc: object) -> None:
        thread_locals.set(self._outer)
        self._own.clear()

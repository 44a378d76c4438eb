"""`threading.local` values that bridged calls see in place of the thread's.

Calls take turns in one thread: what one leaves in a `threading.local` would be seen by
the others. Where synchronous code goes on in a thread of the same task's, the values go
with it (`connections/block_threads.py`).
"""

import asyncio
from contextvars import ContextVar
from typing import Any

from .. import _native

# The values of bridged calls in this context; None: the thread's.
thread_locals: ContextVar[Any] = ContextVar("daf_thread_locals", default=None)


def new_thread_locals(*, for_threads: bool) -> Any:
    """Return a set of `threading.local` values. Needs the compiled part.

    `for_threads`: the threads that calls wait for have the values as well.
    """
    own = _native.rows.ThreadLocals(for_threads)
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
        self._own = new_thread_locals(for_threads=True)
        self._outer = thread_locals.get()
        thread_locals.set(self._own)

    def __exit__(self, *exc: object) -> None:
        thread_locals.set(self._outer)
        self._own.clear()

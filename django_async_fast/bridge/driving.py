"""Run a coroutine so that what it calls without awaiting may wait as well.

`book.author`, a template over a queryset, `form.is_valid()`: where the coroutine is
driven inside of a bridged call they wait on the loop. That is wherever this package
starts the coroutine; tasks that it starts itself are the loop's.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .. import _native, conf
from . import greenlets

T = TypeVar("T")


def drives(awaitable: object) -> bool:
    """Tell whether `awaitable` is to be driven: a coroutine, and the setting LAZY."""
    return inspect.iscoroutine(awaitable) and conf.get("LAZY") == "await"


async def driven(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await `coroutine`, driven unless whoever awaits this is already."""
    if not drives(coroutine) or greenlets.can_wait():
        return await coroutine
    return await greenlets.run(greenlets.drive_alone, coroutine)


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
        self._outer = greenlets.thread_locals.get()
        greenlets.thread_locals.set(self._own)

    def __exit__(self, *exc: object) -> None:
        greenlets.thread_locals.set(self._outer)
        self._own.clear()


def await_driven(awaitable: Any) -> Any:
    """Wait for `awaitable` from synchronous code on the bridge, a coroutine driven."""
    # A task is in the context that it was given, what it drives in the caller's.
    driven = drives(awaitable) or not greenlets.in_call_context()
    return (greenlets.drive if driven else greenlets.await_)(awaitable)


def run(
    main: Coroutine[Any, Any, T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """`asyncio.run()`, with `main` driven: in its blocks lazy relations wait.

    Raises RuntimeError where a loop runs already, ValueError for what is no coroutine.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("run() cannot be called from a running event loop")
    if not asyncio.iscoroutine(main):
        raise ValueError(f"a coroutine was expected, got {main!r}")
    with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(driven(main))

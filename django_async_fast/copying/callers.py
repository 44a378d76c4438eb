"""Who calls a function of COPY: a coroutine, or code in a thread of a block."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ..connections import block_threads
from ..connections.dispatch import run_sync

P = ParamSpec("P")
T = TypeVar("T")


def on_the_loop(function: Callable[P, T]) -> Callable[P, T]:
    """Have `function` run on the loop of the block in whose thread it is called."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if block_threads.in_block_thread():
            return block_threads.run_on_loop(function, *args, **kwargs)
        return function(*args, **kwargs)

    return call


def awaited(function: Callable[P, T], doc: str) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return the coroutine function that does as `function` does."""

    @wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return await run_sync(function, *args, **kwargs)

    call.__name__ = call.__qualname__ = f"a{function.__name__}"
    call.__doc__ = doc
    return call

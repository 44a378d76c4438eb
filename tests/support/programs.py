"""Programs that are written once, and run with Django's sync or async methods.

A program is `async def program(do)`; `await do(objects, "get", pk=1)` means `get()` or
`aget()`, `await do(objects, "iterate")` or `"stream"` a loop over the objects or over
their iterator, `await do(function)` a synchronous function of the project's.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

Do = Callable[..., Awaitable[Any]]
Program = Callable[[Any], Coroutine[Any, Any, Any]]


def call(target: Any, name: str, args: Any, named: Any) -> Any:
    if name == "iterate":
        return list(target)
    if name == "stream":
        return list(target.iterator(**named))
    return getattr(target, name)(*args, **named) if name else target()


async def acall(run: Do, target: Any, name: str, args: Any, named: Any) -> Any:
    """Do the same with the async methods; `run` is for synchronous functions."""
    if name == "iterate":
        return [row async for row in target]
    if name == "stream":
        return [row async for row in target.aiterator(**named)]
    if name:
        return await getattr(target, f"a{name}")(*args, **named)
    return await run(target)


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing, with no event loop in sight."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the program has awaited something else than `do`")

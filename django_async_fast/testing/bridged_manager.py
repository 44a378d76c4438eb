"""Context managers of Django's test cases, in synchronous code and in coroutines."""

import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from .. import bridge

# unittest leaves frames of such modules out of a failure's traceback.
__unittest = True

NEEDS_ASYNC_WITH = "This waits for the database: write `async with`, not `with`."

T = TypeVar("T")


class BridgedManager(Generic[T]):
    """A context manager of Django's for coroutines: `async with`, and `with`."""

    def __init__(self, make: Callable[[], Any], waits: bool = False) -> None:
        self._make = make
        # Whether leaving needs the database, so that `with` will not do.
        self._waits = waits
        self._inner: Any = None

    def __enter__(self) -> T:
        if self._waits and _in_coroutine():
            raise bridge.BridgeError(NEEDS_ASYNC_WITH)
        entered: T = _without_waiting(self._enter)
        return entered

    def __exit__(self, *exc: object) -> None:
        _without_waiting(self._inner.__exit__, *exc)

    async def __aenter__(self) -> T:
        return await bridge.run(self._enter)

    async def __aexit__(self, *exc: object) -> None:
        await bridge.run(self._inner.__exit__, *exc)

    def _enter(self) -> T:
        # On the bridge, where Django finds the block's connection.
        self._inner = self._make()
        entered: T = self._inner.__enter__()
        return entered


def _without_waiting(func: Callable[..., Any], *args: Any) -> Any:
    """Call `func` on the bridge from a coroutine that does not await it."""
    if not _in_coroutine():
        return func(*args)
    call = bridge.run(func, *args)
    try:
        call.send(None)
    except StopIteration as stop:
        return stop.value
    call.close()
    raise bridge.BridgeError(NEEDS_ASYNC_WITH)


def _in_coroutine() -> bool:
    return not bridge.in_bridge() and bridge.current_loop() is not None


async def await_in(context: BridgedManager[Any], func: Callable[[], Any]) -> None:
    async with context:
        result = await bridge.run(func)
        if inspect.isawaitable(result):
            await result

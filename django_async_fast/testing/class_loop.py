"""The event loop that a test class has from `setUpClass()` to its last cleanup."""

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from .. import bridge
from ..connections.blocks import new_connection

# unittest leaves frames of such modules out of a failure's traceback.
__unittest = True


class ClassLoop:
    """The event loop, the context and the block of one test class."""

    def __init__(
        self, loop_factory: Callable[[], Any] | None, connection: new_connection
    ) -> None:
        self._runner = asyncio.Runner(loop_factory=loop_factory)
        self._context = contextvars.copy_context()
        self._connection = connection
        self._await(self._connection.__aenter__(), self._context)

    def run(self, func: Callable[..., Any], *args: Any) -> Any:
        """Run a phase of the class; the context variables that it sets last."""
        return self._await(bridge.run(func, *args), self._context)

    def run_test(self, func: Callable[..., Any], *args: Any) -> Any:
        """Run a test; the context variables that it sets end with it."""
        return self._await(bridge.run(func, *args), self._context.copy())

    def close(self) -> None:
        with self._runner:
            self._await(self._connection.__aexit__(None, None, None), self._context)

    def _await(
        self, coroutine: Coroutine[Any, Any, Any], context: contextvars.Context
    ) -> Any:
        # Not Runner.run(): it turns Ctrl-C into a cancellation, which unittest
        # takes for an error of the test.
        loop = self._runner.get_loop()
        task = loop.create_task(coroutine, context=context)
        try:
            return loop.run_until_complete(task)
        except BaseException:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    loop.run_until_complete(task)
            raise


def on_class_loop(method: Callable[..., Any]) -> Callable[..., Any]:
    """Have a class method run on the bridge, whoever calls it."""

    @functools.wraps(method)
    def inner(cls: Any) -> Any:
        if bridge.in_bridge():
            return method(cls)
        if cls.__dict__.get("_class_loop") is None:
            cls._class_loop = ClassLoop(cls.loop_factory, cls._connection_class())
        return cls._class_loop.run(method, cls)

    return inner

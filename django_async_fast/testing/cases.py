"""Django's test cases for tests that are coroutines.

Django's own code runs, whole phases of it on the bridge: the class has an event
loop and a block from `setUpClass()` to its last cleanup, and every connection
that is asked for in there, by whatever code, is the block's.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from asgiref.sync import (
    SyncToAsync,
    async_to_sync,
    iscoroutinefunction,
    sync_to_async,
)
from django import test
from django.db import DEFAULT_DB_ALIAS, connections

from .. import bridge
from ..bridge import driving, users_code
from ..connections.blocks import Block, new_connection, shared_block
from ..connections.wrapper import BlockWrapper
from ..transactions.atomic import roll_back_inside

if TYPE_CHECKING:
    from django.test.utils import CaptureQueriesContext

__all__ = ["TestCase", "TransactionTestCase", "shared_connection"]

# unittest leaves frames of such modules out of a failure's traceback.
__unittest = True

NEEDS_ASYNC_WITH = "This waits for the database: write `async with`, not `with`."

T = TypeVar("T")

asgiref_call = SyncToAsync.__call__
_sharing = 0


class shared_connection(new_connection):
    """A `new_connection()` that every block inside of it joins.

    Code under test that opens a block of its own then works on the test's
    connections, and so does synchronous code that it sends to a thread with
    `sync_to_async()`: that runs on the event loop.
    """

    def _make_block(self, where: users_code.Place) -> Block:
        return Block(self.force_rollback, where, shared=True)

    async def __aenter__(self) -> BlockWrapper:
        conn = await super().__aenter__()
        _share(+1)
        return conn

    async def __aexit__(self, *exc: object) -> None:
        _share(-1)
        await super().__aexit__(*exc)


async def close_threads_connections() -> None:
    """Close what `sync_to_async()` has opened: it would be in the way of a flush."""
    await sync_to_async(connections.close_all)()


def _share(change: int) -> None:
    global _sharing
    _sharing += change
    SyncToAsync.__call__ = (  # type: ignore[method-assign]
        _sync_to_async_call if _sharing else asgiref_call
    )


async def _sync_to_async_call(
    self: SyncToAsync[Any, Any], *args: Any, **kwargs: Any
) -> Any:
    if self._thread_sensitive and shared_block() is not None:
        return await bridge.run(self.func, *args, **kwargs)
    return await asgiref_call(self, *args, **kwargs)


class _ClassLoop:
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


def _awaited(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return `method`, an `async def`, as a function for the bridge."""

    def inner() -> Any:
        return driving.await_driven(method())

    # unittest's marks: an expected failure.
    inner.__dict__.update(getattr(method, "__dict__", {}))
    inner.__dict__.pop("_is_coroutine_mark", None)
    return inner


def _on_class_loop(method: Callable[..., Any]) -> Callable[..., Any]:
    """Have a class method run on the bridge, whoever calls it."""

    @functools.wraps(method)
    def inner(cls: Any) -> Any:
        if bridge.in_bridge():
            return method(cls)
        if cls.__dict__.get("_class_loop") is None:
            cls._class_loop = _ClassLoop(cls.loop_factory, cls._connection_class())
        return cls._class_loop.run(method, cls)

    return inner


class _BridgedManager(Generic[T]):
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


class _OnLoop:
    """Mixed into Django's test cases."""

    # As in unittest.IsolatedAsyncioTestCase: None is asyncio's own.
    loop_factory: Callable[[], Any] | None = None
    _class_loop: _ClassLoop | None = None
    _connection_class = new_connection

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("setUpClass", "tearDownClass"):
            if (own := cls.__dict__.get(name)) is not None:
                setattr(cls, name, classmethod(_on_class_loop(own.__func__)))

    @classmethod
    def doClassCleanups(cls) -> None:  # noqa: N802
        home, cls._class_loop = cls.__dict__.get("_class_loop"), None
        inherited = super().doClassCleanups  # type: ignore[misc]
        if home is None:
            inherited()
            return
        try:
            home.run(inherited)
        finally:
            home.close()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run_on_class_loop(super().__call__, *args, **kwargs)  # type: ignore[misc]

    def debug(self) -> Any:
        return self._run_on_class_loop(super().debug)  # type: ignore[misc]

    def _run_on_class_loop(
        self, run: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        run = functools.partial(run, *args, **kwargs)
        if self._class_loop is None:  # the class is skipped
            return run()
        for name in ("setUp", self._testMethodName, "tearDown"):  # type: ignore[attr-defined]
            method = getattr(self, name)
            if iscoroutinefunction(method):
                setattr(self, name, _awaited(method))
        return self._class_loop.run_test(run)

    @overload
    def assertNumQueries(
        self, num: int, func: None = None, *, using: str = DEFAULT_DB_ALIAS
    ) -> _BridgedManager[CaptureQueriesContext]: ...
    @overload
    def assertNumQueries(
        self,
        num: int,
        func: Callable[..., Any],
        *args: Any,
        using: str = DEFAULT_DB_ALIAS,
        **kwargs: Any,
    ) -> Any: ...
    def assertNumQueries(  # noqa: N802
        self,
        num: int,
        func: Callable[..., Any] | None = None,
        *args: Any,
        using: str = DEFAULT_DB_ALIAS,
        **kwargs: Any,
    ) -> Any:
        """Assert the number of queries; with `func`, in a coroutine, awaitable."""
        inherited = super().assertNumQueries  # type: ignore[misc]
        context: _BridgedManager[Any] = _BridgedManager(
            functools.partial(inherited, num, using=using)
        )
        if func is None:
            return context
        call = _await_in(context, functools.partial(func, *args, **kwargs))
        return call if bridge.in_coroutine() else bridge.await_(call)


def _roll_back_inner(atomics: dict[str, Any]) -> None:
    """Roll back the atomic blocks that a test has left open inside of its own."""
    for alias, atomic in atomics.items():
        wrapper = connections[alias]
        around = wrapper.gate.innermost
        while around.owner not in (atomic, None):
            around = around.outer
        if around is not wrapper.gate.innermost:
            roll_back_inside(wrapper, around, "The test")


async def _await_in(context: _BridgedManager[Any], func: Callable[[], Any]) -> None:
    async with context:
        result = await bridge.run(func)
        if inspect.isawaitable(result):
            await result


class TransactionTestCase(_OnLoop, test.TransactionTestCase):
    """Django's TransactionTestCase: what a test does is committed, and flushed.

    Code under test has connections of its own, in blocks and in threads.
    """

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()

    def _fixture_teardown(self) -> None:
        _roll_back_inner(dict.fromkeys(self._databases_names()))
        async_to_sync(close_threads_connections)()
        super()._fixture_teardown()


class TestCase(_OnLoop, test.TestCase):
    """Django's TestCase: each class and each test in a transaction, rolled back.

    Tests, `setUp()`, `tearDown()` and `setUpTestData()` may be `async def`. Code
    under test shares the test's connections.
    """

    _connection_class = shared_connection

    @classmethod
    def setUpClass(cls) -> None:
        prepare = cls.setUpTestData
        if not iscoroutinefunction(prepare):
            super().setUpClass()
            return
        own = cls.__dict__.get("setUpTestData")
        cls.setUpTestData = staticmethod(_awaited(prepare))
        try:
            super().setUpClass()
        finally:
            if own is None:
                del cls.setUpTestData
            else:
                cls.setUpTestData = own

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()

    def _fixture_teardown(self) -> None:
        _roll_back_inner(self.atomics)
        super()._fixture_teardown()

    @classmethod
    def _rollback_atomics(cls, atomics: dict[str, Any]) -> None:
        _roll_back_inner(atomics)
        super()._rollback_atomics(atomics)

    @classmethod
    def captureOnCommitCallbacks(  # noqa: N802
        cls, *, using: str = DEFAULT_DB_ALIAS, execute: bool = False
    ) -> _BridgedManager[list[Callable[[], Any]]]:
        """Capture `on_commit()` callbacks; `async with` to execute them."""
        inherited = super().captureOnCommitCallbacks
        make = functools.partial(inherited, using=using, execute=execute)
        return _BridgedManager(make, waits=execute)

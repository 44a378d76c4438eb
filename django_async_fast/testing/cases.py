"""Django's test cases for tests that are coroutines.

Django's own code runs, whole phases of it on the bridge: the class has an event
loop and a block from `setUpClass()` to its last cleanup, and every connection
that is asked for in there, by whatever code, is the block's.
"""

import functools
from collections.abc import Callable
from typing import Any, overload

from asgiref.sync import async_to_sync, iscoroutinefunction
from django import test
from django.db import DEFAULT_DB_ALIAS, connections
from django.test.utils import CaptureQueriesContext

from .. import bridge
from ..bridge import driving
from ..connections.blocks import new_connection
from ..transactions.atomic import roll_back_inside
from .bridged_manager import BridgedManager, await_in
from .class_loop import ClassLoop, on_class_loop
from .shared_connection import close_threads_connections, shared_connection

__all__ = ["TestCase", "TransactionTestCase"]

# unittest leaves frames of such modules out of a failure's traceback.
__unittest = True


def _awaited(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return `method`, an `async def`, as a function for the bridge."""

    def inner() -> Any:
        return driving.await_driven(method())

    # unittest's marks: an expected failure.
    inner.__dict__.update(getattr(method, "__dict__", {}))
    inner.__dict__.pop("_is_coroutine_mark", None)
    return inner


class _OnLoop:
    """Mixed into Django's test cases."""

    # As in unittest.IsolatedAsyncioTestCase: None is asyncio's own.
    loop_factory: Callable[[], Any] | None = None
    _class_loop: ClassLoop | None = None
    _connection_class = new_connection

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("setUpClass", "tearDownClass"):
            # Django's, of the classes below.
            inherited = getattr(cls, name) if _OnLoop in cls.__bases__ else None
            if (own := cls.__dict__.get(name, inherited)) is not None:
                setattr(cls, name, classmethod(on_class_loop(own.__func__)))

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
    ) -> BridgedManager[CaptureQueriesContext]: ...
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
        context: BridgedManager[Any] = BridgedManager(
            functools.partial(inherited, num, using=using)
        )
        if func is None:
            return context
        call = await_in(context, functools.partial(func, *args, **kwargs))
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


class TransactionTestCase(_OnLoop, test.TransactionTestCase):
    """Django's TransactionTestCase: what a test does is committed, and flushed.

    Code under test has connections of its own, in blocks and in threads.
    """

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
    ) -> BridgedManager[list[Callable[[], Any]]]:
        """Capture `on_commit()` callbacks; `async with` to execute them."""
        inherited = super().captureOnCommitCallbacks
        make = functools.partial(inherited, using=using, execute=execute)
        return BridgedManager(make, waits=execute)

"""Tests that change what belongs to the whole process run while no other does.

Django's tests change settings, patch modules, capture output. Where several run at
once on one event loop, each of them would see the others' changes. So a worker that
begins such a change takes the turn, and the tasks of the others are not resumed
until it has undone it. Nothing of the tests has to be known beforehand: the tools
that tests make changes with (`SECTIONS`) take the turn themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
import unittest._log
import unittest.case
import unittest.mock
import warnings
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from django.db import reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper
from django.dispatch import Signal
from django.test import testcases, utils

from tools.conformance.recording import worker

SECTIONS = (
    (contextlib._RedirectStream, "__enter__", "__exit__"),
    (testcases._AssertTemplateUsedContext, "__enter__", "__exit__"),
    (unittest._log._AssertLogsContext, "__enter__", "__exit__"),
    (unittest.case._AssertWarnsContext, "__enter__", "__exit__"),
    (unittest.mock._patch, "__enter__", "__exit__"),
    (unittest.mock._patch_dict, "__enter__", "__exit__"),
    (utils.isolate_apps, "enable", "disable"),
    (utils.override_settings, "enable", "disable"),
    (utils.override_system_checks, "enable", "disable"),
    (warnings.catch_warnings, "__enter__", "__exit__"),
)
GENERATORS = (
    "captured_output",
    "extend_sys_path",
    "freeze_time",
    "isolate_lru_cache",
    "register_lookup",
)


class Turn:
    """Belongs to nobody, or to the worker that has changed something."""

    def __init__(self) -> None:
        self.owner = 0
        self.thread = threading.get_ident()
        self.changes: set[Any] = set()
        self.waiting: list[asyncio.Future[None]] = []

    def take(self, change: Any) -> None:
        """Begin `change`. Whoever runs may: the others are not running."""
        if worker.get() and threading.get_ident() == self.thread:
            self.owner = worker.get()
            self.changes.add(change)

    def give(self, change: Any) -> None:
        """End `change`."""
        if self.owner != worker.get() or threading.get_ident() != self.thread:
            return
        self.changes.discard(change)
        if not self.changes:
            self._free()

    def class_ended(self) -> None:
        """What the worker's class has not undone by now it will not undo."""
        if self.owner == worker.get():
            self.changes.clear()
            self._free()

    def _free(self) -> None:
        self.owner = 0
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def is_taken(self) -> bool:
        """Tell whether the caller's worker may not run now."""
        return self.owner not in (0, worker.get()) and worker.get() != 0

    async def given(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        await future


turn = Turn()


class _Paced:
    """Drives a coroutine, but only while nobody else has the turn."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[Any], Any] = self.coroutine.send
        value: Any = None
        while True:
            try:
                while turn.is_taken():
                    yield from turn.given().__await__()
            except BaseException as cancelled:
                step, value = self.coroutine.throw, cancelled
            try:
                awaited = step(value)
            except StopIteration as end:
                return end.value
            try:
                step, value = self.coroutine.send, (yield awaited)
            except BaseException as exc:
                step, value = self.coroutine.throw, exc


def pace(loop: asyncio.AbstractEventLoop) -> None:
    """Have every task of `loop` wait while another worker has the turn."""

    async def paced(coroutine: Any) -> Any:
        return await _Paced(coroutine)

    def factory(
        loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        return asyncio.Task(paced(coroutine), loop=loop, **options)

    loop.set_task_factory(factory)


def install() -> None:
    """Have the tools of tests take the turn."""
    for owner, begin, end in SECTIONS:
        _exclusive(owner, begin, end)
    for name in GENERATORS:
        setattr(utils, name, _exclusive_generator(getattr(utils, name)))
    _no_patch_for_a_class()
    _files_are_locked()
    _receivers_are_connected()
    _threads_inherit()


def _exclusive(owner: Any, begin: str, end: str) -> None:
    enter, leave = getattr(owner, begin), getattr(owner, end)

    @functools.wraps(enter)
    def exclusive_enter(self: Any, *args: Any) -> Any:
        if not _changes_nothing(self):
            turn.take(id(self))
        try:
            return enter(self, *args)
        except BaseException:
            turn.give(id(self))
            raise

    @functools.wraps(leave)
    def exclusive_leave(self: Any, *args: Any) -> Any:
        try:
            return leave(self, *args)
        finally:
            turn.give(id(self))

    setattr(owner, begin, exclusive_enter)
    setattr(owner, end, exclusive_leave)


def _changes_nothing(change: Any) -> bool:
    """Tell whether `change` is a mock.patch() of something by itself."""
    if not isinstance(change, unittest.mock._patch):
        return False
    return change.new is getattr(change.getter(), change.attribute, None)


def _no_patch_for_a_class() -> None:
    """Have Django 6.1's test classes not patch the backend while they last.

    They do, to catch threads that use an alias that is not allowed. That it is not
    allowed in the test itself, each worker's own wrappers say.
    """

    def ensure_connection(cls: Any) -> Any:
        return BaseDatabaseWrapper.ensure_connection

    testcases.SimpleTestCase.ensure_connection_patch_method = classmethod(
        ensure_connection
    )


def _exclusive_generator(manager: Callable[..., Any]) -> Callable[..., Any]:
    @contextlib.contextmanager
    def inner(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        change = object()
        turn.take(change)
        try:
            with manager(*args, **kwargs) as value:
                yield value
        finally:
            turn.give(change)

    return inner


# What is seldom undone where it was done.
UNTIL_THE_CLASS_ENDS = object()


def _files_are_locked() -> None:
    """Let classes that lock a file run alone: the lock would stop the loop."""
    set_up = testcases.SerializeMixin.setUpClass.__func__

    def alone(cls: Any) -> None:
        turn.take(UNTIL_THE_CLASS_ENDS)
        set_up(cls)

    testcases.SerializeMixin.setUpClass = classmethod(alone)


def _receivers_are_connected() -> None:
    connect = Signal.connect

    def exclusive_connect(self: Any, receiver: Any, *args: Any, **kwargs: Any) -> Any:
        # assertNumQueries() takes this one out and puts it back. It looks at the
        # connections of whoever sends the signal.
        if receiver is not reset_queries:
            turn.take(UNTIL_THE_CLASS_ENDS)
        return connect(self, receiver, *args, **kwargs)

    Signal.connect = exclusive_connect


def _threads_inherit() -> None:
    start = threading.Thread.start

    def start_in_context(self: threading.Thread) -> None:
        context = contextvars.copy_context()
        self.run = functools.partial(context.run, self.run)  # type: ignore[method-assign]
        start(self)

    threading.Thread.start = start_in_context  # type: ignore[method-assign]


class Worlds:
    """Which apps are installed: only classes that restrict them alike run at once.

    TransactionTestCase.available_apps replaces the app registry for a whole test.
    """

    def __init__(self) -> None:
        self.apps: Any = None
        self.inside = 0
        self.changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def of(self, suite: Any) -> Any:
        wanted = world(suite)
        while self.inside and self.apps != wanted:
            self.changed.clear()
            await self.changed.wait()
        self.apps = wanted
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
            self.changed.set()


def world(suite: Any) -> frozenset[str] | None:
    """Return the apps that the class of `suite` is restricted to, or None."""
    available = getattr(type(next(iter(suite))), "available_apps", None)
    return frozenset(available) if isinstance(available, (list, tuple, set)) else None

"""Blocks: `async with new_connection():`, and which block the caller runs in."""

from __future__ import annotations

import asyncio
import functools
import logging
from _thread import get_ident
from asyncio import AbstractEventLoop, _get_running_loop
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.db import DEFAULT_DB_ALIAS, InterfaceError, connections
from django.db.utils import ConnectionDoesNotExist

from .. import _native, bridge, conf
from ..bridge import driving, stalls, users_code
from ..bridge.closed_coroutines import being_closed
from ..bridge.thread_local_values import own_thread_locals
from ..tasks import units
from . import lazy_wrapper, open_transactions
from .wrapper import BlockWrapper

logger = logging.getLogger("django_async_fast")

AsyncFunction = TypeVar("AsyncFunction", bound=Callable[..., Coroutine[Any, Any, Any]])

entered_block: ContextVar[Block | None] = ContextVar("daf_block", default=None)


class Block:
    """One `async with new_connection()`: an alias means a connection of its own.

    Blocks inside of a `shared` one use its connections: a test sees what the
    code under test has done, and undoes it.
    """

    __slots__ = (
        *("debug", "force_rollback", "loop", "name", "open", "place", "relations"),
        *("shared", "thread", "units", "wrappers"),
    )

    def __init__(
        self,
        force_rollback: bool,
        where: users_code.Place,
        shared: bool = False,
        name: str | None = None,
    ) -> None:
        self.loop = (
            _get_running_loop() or bridge.current_loop() or asyncio.get_running_loop()
        )
        self.thread = get_ident()
        self.force_rollback = force_rollback
        self.shared = shared
        self.place = where
        self.name = name
        self.wrappers: dict[str, Any] = {}
        self.open = True
        self.units = units.Units()
        self.debug = conf.debugging(self.loop)
        if self.debug:
            # By line and name, the last instance and how many, for
            # `seams/lazy_access.py`.
            self.relations: dict[Any, tuple[int, int]] = {}
            stalls.watch()

    def opened(self) -> Block:
        """Return the block, or if it has ended one that begins as it has."""
        if self.open:
            return self
        if self.wrappers:  # those that it has closed
            return Block(self.force_rollback, self.place, self.shared, self.name)
        self.open = True
        return self

    def wrapper(self, alias: str) -> Any:
        """Return the block's wrapper for `alias`, made at its first use."""
        found = self.wrappers.get(alias)
        if found is not None:
            return found
        if alias not in connections.settings:
            raise ConnectionDoesNotExist(
                f"The connection '{alias}' doesn't exist. DATABASES has: "
                f"{', '.join(connections.settings)}."
            )
        made = lazy_wrapper.make(self, connections.settings[alias], alias)
        return self.wrappers.setdefault(alias, made)

    @property
    def run(self) -> Callable[..., Coroutine[Any, Any, Any]]:
        """`block.run(func, *args)` calls `func` on the bridge, when its turn has come.

        Like the thread of stock Django, a block runs one synchronous function after
        another.
        """
        return self.units.run if self.units.calls else bridge.run

    @property
    def who(self) -> str:
        """What a warning calls it."""
        if self.name is not None:
            return users_code.in_one_line(self.name)
        return f"The block entered at {users_code.describe(self.place)}"

    def replace_wrapper(self, alias: str, wrapper: Any = None) -> None:
        """Let `alias` mean another wrapper, or with None a new one at its next use.

        The one that it has meant is the block's until the end, in use or not.
        """
        for name in [n for n, each in self.wrappers.items() if each is wrapper]:
            del self.wrappers[name]
        before = self.wrappers.pop(alias, None)
        if before is not None:
            self.wrappers[f"{alias}, once {id(before)}"] = before
        if wrapper is not None:
            self.wrappers[alias] = wrapper

    def connected(self) -> bool:
        """Tell whether a connection is open."""
        return any(map(lazy_wrapper.is_connected, self.wrappers.values()))

    def close_at_once(self) -> bool:
        """End without waiting; False where `close()` has a connection to close."""
        self.open = False
        for alias in [*self.wrappers]:
            # They hold the block; and whoever asks again finds it ended.
            found = self.wrappers.pop(alias)
            if not lazy_wrapper.finish_at_once(found):
                self.wrappers[alias] = found
        return not self.wrappers

    def close(self) -> None:
        """Give every connection back. Runs on the bridge if one is open."""
        self.open = False
        failure: BaseException | None = None
        for each in self.built_wrappers():
            try:
                each.finish()
            except BaseException as exc:
                # However this one ended, the others are to be given back; and
                # a cancellation must not be lost behind an error.
                if failure is None or not isinstance(exc, Exception):
                    failure = exc
        if failure is not None:
            raise failure

    def abandon(self) -> None:
        """Drop every connection, where nothing can be awaited."""
        self.open = False
        for each in self.wrappers.values():
            lazy_wrapper.reveal(each)
        for each in self.built_wrappers():
            each.abandon()

    def built_wrappers(self) -> list[Any]:
        """Return the wrappers that have been used."""
        return [each for each in self.wrappers.values() if lazy_wrapper.is_built(each)]


def current_block() -> Block | None:
    """Return the block that the caller runs in, or None.

    A block belongs to its loop and thread: from others it is invisible.
    Raises InterfaceError in a task that outlived its block.
    """
    block = entered_block.get() or bridge.get_in_call_context(entered_block)
    if block is None or block.thread != get_ident():
        return None
    if block.open and block.loop is _get_running_loop():
        return block
    if block.loop is not bridge.current_loop():
        return None
    if not block.open:
        raise InterfaceError(
            "The `async with new_connection()` block that this task was started in has "
            "ended. Await the task inside the block, or open a block of its own in it."
        )
    return block


def open_block(loop: AbstractEventLoop | None = None) -> Block | None:
    """Return the block that the caller runs in, or None, also where it has ended.

    In a thread that works for a task, `loop` is the task's.
    """
    block = entered_block.get()
    if block is None or not block.open:
        return None
    return block if block.loop is (loop or bridge.current_loop()) else None


def shared_block() -> Block | None:
    """Return the shared block that a new block would join, or None."""
    block = entered_block.get()
    # Most blocks are not nested.
    if block is None or not block.shared:
        return None
    return open_block()


class new_connection:
    """Open a block: inside it the async ORM runs on connections of its own.

    `async with new_connection(using="default", force_rollback=False) as conn:`.
    `conn` is the block's connection to `using`; other aliases get one at their
    first use. All open lazily. Blocks nest. With `force_rollback` everything
    that is done inside is rolled back at the end.

    `@new_connection()` on an `async def` opens a block for each call.

    Raises ConnectionDoesNotExist for an unknown alias, RuntimeError outside of
    an event loop.
    """

    def __init__(
        self, using: str = DEFAULT_DB_ALIAS, force_rollback: bool = False
    ) -> None:
        self.using = using
        self.force_rollback = force_rollback
        self._block: Block | None = None
        self._before: Block | None = None
        self._undo: Any = None

    def __call__(self, func: AsyncFunction) -> AsyncFunction:
        if not iscoroutinefunction(func):
            raise TypeError(
                "@new_connection() decorates `async def` functions. Put it on the "
                "outermost one, or use `async with new_connection():` inside."
            )

        @functools.wraps(func)
        async def inner(*args: Any, **kwargs: Any) -> Any:
            async with type(self)(self.using, self.force_rollback):
                if _goes_on() or not _native.COMPILED:
                    return await driving.driven(func(*args, **kwargs))
                with own_thread_locals():
                    return await driving.driven(func(*args, **kwargs))

        return cast(AsyncFunction, inner)

    async def __aenter__(self) -> BlockWrapper:
        if self._block is not None:
            raise RuntimeError("This new_connection() has been entered already.")
        block = shared_block()
        if block is None:
            block = self._make_block(users_code.place(1))
            conn = block.wrapper(self.using)
        else:
            conn = block.wrapper(self.using)
            if self.force_rollback:
                self._undo = await bridge.run(open_transactions.begin_undo, conn)
        self._block, self._before = block, entered_block.get()
        entered_block.set(block)
        return conn

    async def __aexit__(
        self, exc_type: Any = None, exc: Any = None, traceback: Any = None
    ) -> None:
        block, self._block = self._block, None
        assert block is not None
        closed = being_closed(exc)
        if block is self._before:
            if closed and self._undo is not None:
                await self._undo.__aexit__(exc_type, exc, traceback)
            elif self._undo is not None:
                conn = block.wrapper(self.using)
                await bridge.run(open_transactions.undo, conn, self._undo)
            return
        # A fixture may leave in another context than it entered in.
        if entered_block.get() is block:
            entered_block.set(self._before)
        if closed:
            block.abandon()
            return
        try:
            if block.close_at_once():
                return
            if block.connected():
                await bridge.run(_close, block)
            else:
                block.close()
        except Exception as failure:
            if exc_type is None:
                raise
            # The connections are gone; a cancellation on its way must arrive.
            logger.warning("a block did not end cleanly: %r", failure)

    if not TYPE_CHECKING:  # type checkers refuse `with` by themselves

        def __enter__(self) -> None:
            raise RuntimeError(
                "new_connection() is asynchronous: use `async with new_connection():` "
                "in a coroutine."
            )

        def __exit__(self, *exc: object) -> None:
            """Exist, so that `with` reaches the message of `__enter__`."""

    def _make_block(self, where: users_code.Place) -> Block:
        try:
            return Block(self.force_rollback, where)
        except RuntimeError as exc:
            raise RuntimeError(
                "new_connection() needs a running event loop: use it in a coroutine "
                "that asyncio.run(), an ASGI server or async_to_sync() runs."
            ) from exc


def _goes_on() -> bool:
    """Tell whether a decorated function is part of what its caller does, or a test."""
    return bridge.can_wait() or shared_block() is not None


def _close(block: Block) -> None:
    # The block's own code runs inside of it, although the task has left it.
    with entered(block):
        block.close()


@contextmanager
def entered(block: Block) -> Iterator[None]:
    """Let the context be in `block`."""
    before = entered_block.get()
    entered_block.set(block)
    try:
        yield
    finally:
        # A task that is destroyed ends in the context of whoever destroys it.
        if entered_block.get() is block:
            entered_block.set(before)


class AsyncConnections:
    """`async_connections[alias]`: the current block's connection to `alias`."""

    def __getitem__(self, alias: str) -> BlockWrapper:
        block = current_block()
        if block is None:
            raise InterfaceError(
                f"There is no asynchronous connection to '{alias}' here: open a block "
                "with `async with new_connection():`."
            )
        return block.wrapper(alias)

    def __iter__(self) -> Iterator[str]:
        return iter(connections.settings)


async_connections = AsyncConnections()

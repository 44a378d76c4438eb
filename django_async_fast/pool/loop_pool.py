"""One psycopg_pool.AsyncConnectionPool per event loop and alias.

A pool's tasks and sockets live on the loop that opened it; it is opened when
the first connection is asked for, and closed with the loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sys
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import psycopg
from django.core.exceptions import ImproperlyConfigured
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from .. import bridge
from ..drivers.forks import forks
from ..drivers.psycopg.connect_hooks import PoolConnectionClass
from ..drivers.psycopg.connection import Connection, view
from ..drivers.psycopg.session import Session
from ..tasks.gates import Gate
from . import fast_checkout
from .waiting_line import WaitingLine

T = TypeVar("T")

# To take a connection that is there, or give one back, waits for nothing: the
# task is done when it has been made, without a trip through the loop.
EAGER: Any = {"eager_start": True} if sys.version_info >= (3, 12) else {}

# The number of forks is part of the key: the child must open pools of its own and
# leave the parent's sockets alone.
_pools: WeakKeyDictionary[AbstractEventLoop, dict[tuple[int, str], Pool]]
_pools = WeakKeyDictionary()


class Pool:
    """What is kept for a pool of psycopg's."""

    # Take a connection that is there, and give one back, without the loop.
    take_at_once = staticmethod(fast_checkout.take)
    give_at_once = staticmethod(fast_checkout.give)

    pool: AsyncConnectionPool[Session]
    line: WaitingLine

    def __init__(
        self, loop: AbstractEventLoop, alias: str, params: dict[str, Any]
    ) -> None:
        self.loop = loop
        self.alias = alias
        self.params = params
        # All that the pool has made and that are still there.
        self.connections: WeakSet[Session] = WeakSet()
        self.opening: asyncio.Task[None] | None = None
        self.keeper: asyncio.Task[None] | None = None
        self.closer: AsyncGenerator[None] | None = None
        self.returning: set[asyncio.Task[None]] = set()
        # Of the process that has made it, and whether blocks get another one.
        self.forks = forks()
        self.forgotten = False

    @property
    def opened(self) -> bool:
        return self.opening is not None and self.opening.done()

    def figures(self) -> dict[str, int]:
        """Return psycopg's figures of the pool, and how many of it are `used`."""
        # What psycopg calls the size has those that are being opened in it.
        return self.pool.get_stats() | {"used": sum(map(_is_used, self.connections))}

    def connection_class(self, kind: Any) -> PoolConnectionClass:
        """Return what makes its connections, which `kind` is asked for."""
        return PoolConnectionClass(kind, self.alias)

    def handle(self, gate: Gate) -> PoolHandle:
        """Return the pool for one block."""
        return PoolHandle(gate, self)

    async def open(self) -> None:
        # One task for all who wait. It goes on when the first is cancelled: a
        # second one's keeper would close the pool that both have opened.
        if self.opening is None:
            self.opening = self._task(self._open())
        await asyncio.shield(self.opening)

    async def close(self) -> None:
        """Close the pool; a connection that is out is closed when it comes back."""
        await self.pool.close()
        if self.closer and all(each.closed for each in self.connections):
            # Nothing is left to end with the loop, or with the last connection.
            await self.closer.aclose()

    def checkout(self) -> Session:
        """Return a connection of the pool; waits for it on the bridge."""
        try:
            return fast_checkout.take(self.pool) or self._wait()
        except PoolTimeout as exc:
            raise self._explained(exc) from None

    def _wait(self) -> Session:
        if (place := self.line.join()) is not None:
            return self.line.wait(place)
        return bridge.await_(self.take())

    def _explained(self, timeout: PoolTimeout) -> PoolTimeout:
        """Return psycopg's error with what is to be known about the pool."""
        figures = self.pool.get_stats()
        if all(each.closed for each in self.connections):
            return PoolTimeout(
                f"{timeout}: no connection to '{self.alias}' could be opened. Is the "
                "server up? The logger 'psycopg.pool' has what it answers."
            )
        return PoolTimeout(
            f"{timeout}: all {figures['pool_size']} of at most {figures['pool_max']} "
            f"connections to '{self.alias}' are in use and "
            f"{figures.get('requests_waiting', 0)} requests wait. A block keeps "
            "its connection until it ends; nested blocks need one each."
        )

    async def take(self) -> Session:
        """Return a connection of the pool."""
        # In a task: psycopg's queue does not notice that a coroutine is closed
        # while it waits, and gives it a connection, which is lost; and to
        # cancel a check on a server gone silent takes psycopg ten seconds.
        task = self._task(self.pool.getconn())
        if task.done():
            return task.result()
        try:
            return await asyncio.shield(task)
        except BaseException:
            task.add_done_callback(self._give_late)
            task.cancel()
            raise

    async def give(self, session: Session) -> None:
        """Give a connection back, and wait until it is."""
        task = self.begin_giving(session)
        if task.done():
            task.result()
        else:
            await asyncio.shield(task)

    def begin_giving(self, session: Session) -> asyncio.Task[None]:
        """Give a connection back, in a task that nobody breaks off."""
        task = self._task(self.pool.putconn(session))
        if not task.done():
            self.returning.add(task)
            task.add_done_callback(self.returning.discard)
        return task

    def give_soon(self, session: Session) -> None:
        """Give a connection back from wherever nothing can be awaited."""
        # Perhaps where a task's remains are collected, after its loop.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(
                self.begin_giving, session, context=contextvars.Context()
            )

    def _give_late(self, task: asyncio.Task[Session]) -> None:
        if not task.cancelled() and task.exception() is None:
            self.begin_giving(task.result())

    def _task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        # In a context of its own: what the pool starts must not inherit the
        # block, or the scope, of whoever came first.
        context = contextvars.Context()
        return asyncio.Task(work, loop=self.loop, context=context, **EAGER)

    async def _open(self) -> None:
        await self.pool.open()
        self.keeper = asyncio.get_running_loop().create_task(self._keep())
        # `asyncio.run` and its like end every asynchronous generator before
        # they close the loop: the one hook that a loop has for this.
        self.closer = self._close_with_the_loop()
        await anext(self.closer)

    async def _keep(self) -> None:
        # But before, they cancel every task and wait for it. A worker that is
        # connecting takes that for a failed attempt and works on: unless the
        # pool is closed at once, `asyncio.run` never returns.
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.pool.close(timeout=1.0)
            raise

    async def _close_with_the_loop(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            assert self.keeper is not None
            self.keeper.cancel()
            await asyncio.wait([self.keeper])
            # Cancelled with its workers, psycopg's pool stops closing halfway.
            for connection in self.connections:
                connection.drop()
            # Our tasks hold the loop: its entry would stay for ever.
            _forget(self)


# Replaced by what measures its times (pool/times.py).
make_entry: Callable[[AbstractEventLoop, str, dict[str, Any]], Pool] = Pool


def open_pools() -> list[Pool]:
    """Return the pools of this process that are open."""
    return [
        entry
        for loop, pools in list(_pools.items())
        for (forked, _), entry in list(pools.items())
        if forked == forks()
        and entry.opened
        and not entry.pool.closed
        and not loop.is_closed()
    ]


def _is_used(session: Session) -> bool:
    """Tell whether a block has it; to be configured it has a view without a pool."""
    view: Any = getattr(session.served, "view", bool)()
    return bool(view) and not view.returned and getattr(view, "_pool", None) is not None


class PoolHandle:
    """What Django's wrapper sees as `psycopg_pool.ConnectionPool`."""

    def __init__(self, gate: Gate, entry: Pool) -> None:
        # Not the wrapper, which has this one.
        self.gate = gate
        self._entry = entry
        # A connection that has been taken for this block, and waits to be asked for.
        self.reserved: Session | None = None
        # What connections are made with.
        self.params: dict[str, Any] = entry.params

    @staticmethod
    def existing(loop: AbstractEventLoop, alias: str) -> Pool | None:
        """Return the pool of `alias` on `loop`, if there is one and it is open."""
        entry = _pools.get(loop, {}).get((forks(), alias))
        return entry if entry is not None and entry.opened else None

    def open(self) -> None:
        if not self._entry.opened:
            bridge.await_(self._entry.open())

    def getconn(self) -> Connection:
        session, self.reserved = self.reserved, None
        return self.view(self._entry.checkout() if session is None else session)

    def view(self, session: Session) -> Connection:
        """Return the connection of this block over `session`."""
        cursor_class = self.params.get("cursor_factory")
        connection = view(session, self.gate, cursor_class)
        connection._pool = self  # type: ignore[assignment]
        return connection

    def put_at_once(self, connection: Connection) -> bool:
        """Give a connection back if there is nothing to wait for."""
        entry = self._entry
        if not entry.give_at_once(entry.pool, connection.session):
            return False
        connection.detach()
        return True

    def putconn(self, connection: Connection) -> None:
        """Give a connection back, and wait until it is."""
        if self.put_at_once(connection):
            return
        if bridge.can_wait():
            bridge.await_(self._entry.give(connection.detach()))
        else:
            self.give_soon(connection)

    def give_soon(self, connection: Connection) -> None:
        """Give a connection back where nothing can be awaited.

        The pool opens another one in the place of one that is closed.
        """
        self._entry.give_soon(connection.detach())

    def close(self) -> None:
        """Close the pool; a connection that is out is closed when it comes back."""
        _forget(self._entry)
        if self._entry.opened:
            bridge.await_(self._entry.close())


def _forget(entry: Pool) -> None:
    entry.forgotten = True
    pools = _pools.get(entry.loop, {})
    for key in [key for key, each in pools.items() if each is entry]:
        del pools[key]
    if not pools:
        _pools.pop(entry.loop, None)


def handle(wrapper: Any) -> PoolHandle:
    """Return the pool of the wrapper's alias on the current loop."""
    options = wrapper.settings_dict["OPTIONS"]["pool"]
    loop = bridge.current_loop()
    assert loop is not None
    pools = _pools.setdefault(loop, {})
    key = (forks(), wrapper.alias)
    if key not in pools:
        for dead in [loop for loop in _pools if loop.is_closed()]:
            del _pools[dead]  # closed without a word: asyncio.run() tells us
        pools[key] = _make(wrapper, loop, {} if options is True else options)
    return PoolHandle(wrapper.gate, pools[key])


def _bridged(function: Callable[[Any], Any], alias: str) -> Callable[[Any], Any]:
    """Return the pool's callback that calls the synchronous `function`."""

    async def callback(session: Session) -> None:
        # A gate for each connection: one that hangs holds up no other.
        connection = view(session, Gate(alias, None))
        try:
            await bridge.run(function, connection)
        finally:
            connection.detach()
            connection._pool = None

    return callback


def _make(wrapper: Any, loop: AbstractEventLoop, options: dict[str, Any]) -> Pool:
    if wrapper.settings_dict.get("CONN_MAX_AGE", 0) != 0:
        raise ImproperlyConfigured("Pooling doesn't support persistent connections.")
    params = wrapper.get_connection_params()
    configure = type(wrapper)(wrapper.settings_dict, wrapper.alias)
    checks = wrapper.settings_dict["CONN_HEALTH_CHECKS"]
    entry = make_entry(loop, wrapper.alias, params)
    options = {
        "check": AsyncConnectionPool.check_connection if checks else None,
        **options,
        "connection_class": entry.connection_class(
            options.get("connection_class", psycopg.Connection)
        ),
    }

    for name in ("check", "reset"):
        if options.get(name) and not inspect.iscoroutinefunction(options[name]):
            options[name] = _bridged(options[name], wrapper.alias)
    configured = _bridged(configure._configure_connection, wrapper.alias)

    async def made(session: Session) -> None:
        entry.connections.add(session)
        await configured(session)

    # Django sets autocommit for each block.
    kwargs = {**params, "autocommit": True}
    entry.pool = AsyncConnectionPool(
        kwargs=kwargs, open=False, configure=made, **options
    )
    entry.line = WaitingLine(entry.pool, loop, entry.give_soon)
    return entry

"""One psycopg_pool.AsyncConnectionPool per event loop and alias.

A pool's tasks and sockets live on the loop that opened it; it is opened when
the first connection is asked for, and closed with the loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from django.core.exceptions import ImproperlyConfigured

from . import bridge
from .drivers import psycopg as driver
from .scopes import Gate

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

# The process id is part of the key: after a fork the child must open pools of
# its own and leave the parent's sockets alone.
_pools: WeakKeyDictionary[AbstractEventLoop, dict[tuple[int, str], _Pool]]
_pools = WeakKeyDictionary()


class _Pool:
    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self.pool = pool
        self.opening = asyncio.Lock()
        self.opened = False
        self.keeper: asyncio.Task[None] | None = None
        self.closer: AsyncIterator[None] | None = None
        self.returning: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        async with self.opening:
            if not self.opened:
                # In a context of its own: the pool's tasks must not inherit
                # the block, or the scope, of whoever came first.
                context = contextvars.Context()
                task = asyncio.get_running_loop().create_task(
                    self._open(), context=context
                )
                await asyncio.shield(task)
                self.opened = True

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
        finally:
            await self.pool.close(timeout=1.0)

    async def _close_with_the_loop(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            assert self.keeper is not None
            self.keeper.cancel()
            await asyncio.wait([self.keeper])


class PoolHandle:
    """What Django's wrapper sees as `psycopg_pool.ConnectionPool`."""

    def __init__(self, wrapper: Any, entry: _Pool) -> None:
        self._wrapper = wrapper
        self._entry = entry

    def open(self) -> None:
        if not self._entry.opened:
            bridge.await_(self._entry.open())

    def getconn(self) -> driver.Connection:
        origin = bridge.await_(self._getconn())
        connection = driver.view(
            origin, self._wrapper.gate, self._wrapper.cursor_class()
        )
        connection._pool = self  # type: ignore[assignment]
        return connection

    def putconn(self, connection: driver.Connection) -> None:
        # A task of its own, which nobody breaks off: a slot that is not given
        # back is lost. Whoever can still wait waits for it.
        loop = bridge.current_loop()
        assert loop is not None
        task = loop.create_task(
            self._entry.pool.putconn(connection.detach()),
            context=contextvars.Context(),
        )
        self._entry.returning.add(task)
        task.add_done_callback(self._entry.returning.discard)
        if bridge.can_wait():
            bridge.await_(asyncio.shield(task))

    def close(self) -> None:
        """Close the pool; a connection that is out is closed when it comes back."""
        loop = bridge.current_loop()
        assert loop is not None
        _pools[loop].pop((os.getpid(), self._wrapper.alias), None)
        if self._entry.opened:
            bridge.await_(self._entry.pool.close())

    async def _getconn(self) -> Any:
        from psycopg_pool import PoolTimeout

        pool = self._entry.pool
        try:
            return await pool.getconn()
        except PoolTimeout as exc:
            figures = pool.get_stats()
            raise PoolTimeout(
                f"{exc}: all {figures['pool_size']} of at most {figures['pool_max']} "
                f"connections to '{self._wrapper.alias}' are in use and "
                f"{figures.get('requests_waiting', 0)} requests wait. A block keeps its "
                "connection until it ends; nested blocks need one each."
            ) from None


def handle(wrapper: Any) -> PoolHandle:
    """Return the pool of the wrapper's alias on the current loop."""
    options = wrapper.settings_dict["OPTIONS"]["pool"]
    loop = bridge.current_loop()
    assert loop is not None
    pools = _pools.setdefault(loop, {})
    key = (os.getpid(), wrapper.alias)
    if key not in pools:
        pools[key] = _Pool(_make(wrapper, {} if options is True else options))
    return PoolHandle(wrapper, pools[key])


def _bridged(function: Callable[[Any], Any], gate: Gate) -> Callable[[Any], Any]:
    """Return the pool's callback that calls the synchronous `function`."""

    async def callback(origin: Any) -> None:
        view = driver.view(origin, gate)
        try:
            await bridge.run(function, view)
        finally:
            view.detach()
            view._pool = None

    return callback


def _make(wrapper: Any, options: dict[str, Any]) -> AsyncConnectionPool[Any]:
    if wrapper.settings_dict.get("CONN_MAX_AGE", 0) != 0:
        raise ImproperlyConfigured("Pooling doesn't support persistent connections.")
    from psycopg_pool import AsyncConnectionPool

    params = wrapper.get_connection_params()
    params.pop("cursor_factory", None)
    params["autocommit"] = True
    configure = type(wrapper)(wrapper.settings_dict, wrapper.alias)

    checks = wrapper.settings_dict["CONN_HEALTH_CHECKS"]
    options = {
        "check": AsyncConnectionPool.check_connection if checks else None,
        **options,
    }
    for name in ("check", "reset"):
        if options.get(name) and not inspect.iscoroutinefunction(options[name]):
            options[name] = _bridged(options[name], configure.gate)
    return AsyncConnectionPool(
        kwargs=params,
        open=False,
        configure=_bridged(configure._configure_connection, configure.gate),
        **options,
    )

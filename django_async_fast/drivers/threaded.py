"""Any driver, called in a thread: one for each connection, awaited by the loop.

Django's backend is left as it is. In place of the driver's connection and cursors it
gets what calls every method of theirs in the connection's thread, one after the other
and in the turns that the connection's gate gives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from django.db import ProgrammingError

from .. import bridge
from ..tasks.gates import Gate
from .driver_thread import DriverThread, Job
from .psycopg.cancellation import DRAIN_SHARES, DRAIN_TIMEOUT, logger
from .usable import check_usable

_END: Any = object()


def connect(gate: Gate, function: Callable[[], Any]) -> Connection:
    """Return what stands for the connection that `function` opens, in its thread."""
    return Connection(gate, *bridge.await_(_connect(gate, function)))


async def _connect(gate: Gate, function: Callable[[], Any]) -> tuple[DriverThread, Any]:
    thread = DriverThread(f"connection to {gate.alias}")
    connecting = thread.begin(function)
    try:
        return thread, await asyncio.shield(connecting)
    except BaseException:
        if connecting.done():
            _close_late(thread, connecting)
        else:  # perhaps there will be one after all, for nobody
            connecting.add_done_callback(partial(_close_late, thread))
        raise


def _close_late(thread: DriverThread, connecting: asyncio.Future[Any]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        thread.post(connecting.result().close)
    thread.end()


class Killer(NamedTuple):
    """How another connection ends a statement."""

    # End it; called in a thread of its own, while the statement runs.
    kill: Job
    # With the driver's connection: be what a kill ends that came too late for its own.
    take_late_kill: Callable[[Any], None]


class _Proxy:
    """A proxy of an object of the driver's, whose methods are called in the thread."""

    __slots__ = ()

    _connection: Connection
    _raw: Any

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        is_statement = self is not self._connection
        function = partial(function, *args, **kwargs)
        found = self._connection.run(function, is_statement)
        if found is self._raw:
            return self
        if hasattr(found, "fetchmany") and hasattr(found, "execute"):
            return Cursor(self._connection, lambda: found)
        return found

    def __getattr__(self, name: str) -> Any:
        if hasattr(type(self), name):  # ours, and not set yet
            raise AttributeError(name)
        value = getattr(self._raw, name)
        owner = getattr(value, "__self__", None)
        if owner is None or isinstance(owner, ModuleType) or not callable(value):
            return value  # no method of the object's
        return partial(self._call, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            self._call(setattr, self._raw, name, value)


class Connection(_Proxy):
    """A proxy of a driver's connection."""

    __slots__ = (
        "_driver_thread",
        "_raw",
        "closed",
        "gate",
        "killer",
        "may_be_in_transaction",
        "transaction_broken",
    )

    def __init__(self, gate: Gate, thread: DriverThread, raw: Any) -> None:
        self.gate = gate
        self._driver_thread = thread
        self._raw = raw
        self.closed = False
        # How a statement is ended, where the driver's connection cannot be told.
        self.killer: Killer | None = None
        # Whether a transaction may be open: from before it begins until after its end.
        self.may_be_in_transaction = False
        # Whether a transaction was lost with it.
        self.transaction_broken = False

    @property
    def _connection(self) -> Connection:  # type: ignore[override]
        return self

    @property
    def inherited(self) -> bool:
        """Whether this process was forked: the connection is its parent's."""
        return self._driver_thread.inherited

    def cursor(self, *args: Any, **kwargs: Any) -> Cursor:
        """Return a cursor, made in the thread when it is used first."""
        return Cursor(self, partial(self._raw.cursor, *args, **kwargs))

    def run(self, function: Job, is_statement: bool = False) -> Any:
        """Call `function` in the thread, in turn, and wait for what it returns.

        Broken off, the call is waited for all the same, and the connection closed if
        that takes too long. A statement is ended where that can be done.
        """
        if self.inherited:
            check_usable(self)
        self.gate.acquire()
        try:
            return bridge.await_(self._run(function, is_statement))
        finally:
            self.gate.release()

    async def _run(self, function: Job, is_statement: bool) -> Any:
        check_usable(self)
        outcome = self._driver_thread.begin(function)
        try:
            return await asyncio.shield(outcome)
        except GeneratorExit:
            outcome.cancel()  # nobody hears of it
            self._give_up()
            raise
        except BaseException as exc:
            if not _raised(outcome, exc):
                await self._break_off(outcome, is_statement)
            raise

    async def _break_off(
        self, outcome: asyncio.Future[Any], is_statement: bool
    ) -> None:
        """Leave the connection to nobody before the thread is done with it."""
        pending = {outcome}
        if is_statement and self.killer is not None and not outcome.done():
            pending |= self._kill(self.killer)
        for each in pending:
            each.add_done_callback(_retrieve)
        try:
            for share in DRAIN_SHARES:
                self._interrupt()
                _, pending = await asyncio.wait(pending, timeout=share * DRAIN_TIMEOUT)
                if not pending:
                    return
            logger.warning("closing a connection: the driver's call does not end")
        finally:
            if pending:
                self._give_up()

    def _kill(self, killer: Killer) -> set[asyncio.Future[Any]]:
        """Have the statement ended; return what must be done before the next one."""
        thread = DriverThread(f"kill on {self.gate.alias}")
        killed = thread.begin(partial(_kill, killer, self._raw, self._driver_thread))
        thread.end()
        return {killed}

    def _interrupt(self) -> None:
        """Have SQLite end a long statement; not where it would roll back with it."""
        if not self.may_be_in_transaction:
            with suppress(Exception):
                self._raw.interrupt()

    def _give_up(self) -> None:
        self.transaction_broken = self.may_be_in_transaction
        self.drop()

    def post(self, function: Job) -> None:
        """Call `function` in the thread, if that still does anything."""
        if not self.closed and not self.inherited:
            self._driver_thread.post(function)

    def close(self) -> None:
        """Close the connection and end its thread; waits for both if it can."""
        if not bridge.can_wait() or self.inherited:
            self.drop()
        elif not self.closed:
            self.closed = True
            bridge.await_(self._close())

    async def _close(self) -> None:
        closing = self._driver_thread.begin(self._raw.close)
        self._driver_thread.end()
        try:
            await asyncio.shield(closing)
        finally:
            closing.add_done_callback(_retrieve)
        self._driver_thread.join()

    def drop(self) -> None:
        """Have the thread close the connection and end; waits for nothing."""
        self.post(self._raw.close)
        if not self.closed:
            self.closed = True
            self._driver_thread.end()

    def __enter__(self) -> Connection:
        self._call(self._raw.__enter__)
        return self

    def __exit__(self, *exc: object) -> Any:
        return self._call(self._raw.__exit__, *exc)

    def __del__(self) -> None:
        with suppress(AttributeError):  # it was never made
            self.drop()


def _kill(killer: Killer, raw: Any, driver_thread: DriverThread) -> None:
    try:
        killer.kill()
    finally:
        driver_thread.post(partial(killer.take_late_kill, raw))


def _raised(outcome: asyncio.Future[Any], exc: BaseException) -> bool:
    """Tell whether `exc` is what the call in the thread has raised."""
    return outcome.done() and not outcome.cancelled() and outcome.exception() is exc


def _retrieve(outcome: asyncio.Future[Any]) -> None:
    """Keep asyncio from telling of an error that nobody is left to hear."""
    if not outcome.cancelled():
        outcome.exception()


class Cursor(_Proxy):
    """A proxy of a driver's cursor."""

    __slots__ = ("_closed", "_connection", "_made", "_make", "_rest")

    def __init__(self, connection: Connection, make: Callable[[], Any]) -> None:
        self._connection = connection
        self._make = make
        self._made: Any = None
        self._closed = False
        # What is left of a result of which everything has been fetched.
        self._rest: Any = None

    @property
    def _raw(self) -> Any:
        if self._made is None:
            self._connection.run(self._made_cursor)
        return self._made

    def _made_cursor(self) -> Any:
        """Return the driver's cursor, made at its first use. In the thread."""
        if self._made is None:
            if self._closed:
                raise ProgrammingError("The cursor is closed.")
            self._made = self._make()
        return self._made

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._rest = None
        return super()._call(function, *args, **kwargs)

    def _do(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._made_cursor(), name)(*args, **kwargs)

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(self._do, "execute", *args, **kwargs)

    def executemany(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(self._do, "executemany", *args, **kwargs)

    def fetchmany(self, *size: int) -> Any:
        if self._rest is not None:
            return self._rest
        rows = self._call(self._do, "fetchmany", *size)
        if size and len(rows) < size[0]:
            # Django asks again to hear of the end, which is known.
            self._rest = rows[:0]
        return rows

    def close(self) -> None:
        """Close the cursor; the thread does it before anything else."""
        if not self._closed:
            self._closed = True
            if self._made is not None:
                self._connection.post(self._made.close)

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        # A row at a time: the driver may fail, or have an effect, at the next one.
        row = self._call(next, self._raw, _END)
        if row is _END:
            raise StopIteration
        return row

    def __del__(self) -> None:
        with suppress(AttributeError):  # it was never made
            self.close()

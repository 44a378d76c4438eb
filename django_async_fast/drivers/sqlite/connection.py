"""A connection of Python's sqlite3 whose calls are made in the loop's thread.

A short call is simply made. A long one is stopped, from inside SQLite, whenever the
loop is to have its turn (`turns.py`), and ended there when its task is cancelled. Who
finds the database locked waits in a queue (`lock_queue.py`).
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any, TypeVar
from weakref import ref

from django.core.exceptions import ImproperlyConfigured

from ... import bridge
from ...tasks.gates import Gate
from ..forks import OfOneProcess, forks
from ..usable import check_usable
from . import long_steps
from .cursor import Cursor, cursor_class
from .lock_queue import LockQueue, lock_queue_of
from .progress import Progress
from .statement_kinds import StatementKind, takes_lock
from .turns import Turns, turns_of

T = TypeVar("T")

# Extended codes of SQLite's: in the file a lock is held, by a connection of the same
# cache; and one that has read before another has written, which no waiting mends.
_LOCKED_SHAREDCACHE = 262
_BUSY_SNAPSHOT = 517

# So many cursors are remembered before those that are gone are forgotten.
_CURSORS = 100

_level: Any = sqlite3.Connection.isolation_level

# Not even to be closed: SQLite would end locks that the parent has.
_of_parent: list[sqlite3.Connection] = []


def connect(gate: Gate, params: dict[str, Any], open_one: Callable[[Any], Any]) -> Any:
    """Return what `open_one(params)` opens, as a connection for the loop.

    Raises ImproperlyConfigured where its class cannot be chosen.
    """
    kind = params.get("factory", sqlite3.Connection)
    if not isinstance(kind, type):
        raise ImproperlyConfigured(
            f"OPTIONS['factory'] of '{gate.alias}' is no class, so its connections "
            "cannot be used on the event loop. Use a subclass of sqlite3.Connection, "
            "or have them used in threads: "
            f"DJANGO_ASYNC_FAST = {{'THREADED': ['{gate.alias}']}}."
        )
    opened: list[Connection] = []
    loop = bridge.current_loop()
    assert loop is not None

    def factory(database: Any, *args: Any, **params: Any) -> Any:
        path = os.fspath(database)
        cache = lock_queue_of(loop, path).cache
        make = _on_the_loop(kind)
        if cache is not None:
            make = partial(cache.call, make)
        opened.append(make(database, *args, **params))
        opened[0].attach(gate, path)
        return opened[0]

    try:
        return open_one({**params, "factory": factory})
    except BaseException:
        for each in opened:
            each.close()
        raise
    finally:
        opened.clear()


@cache
def _on_the_loop(kind: Any) -> Any:
    if kind is sqlite3.Connection:
        return Connection
    return type(kind.__name__, (Connection, kind), {"__module__": kind.__module__})


class Connection(OfOneProcess, sqlite3.Connection):
    """A connection of a block."""

    gate: Gate
    path: str
    turns: Turns
    lock_queue: LockQueue
    progress: Progress
    # It, or it and one of the project's.
    progress_handler: Callable[[], Any]
    # Where it is kept between blocks (`idle_connections.py`), and the file it has open.
    idle: Any = None
    file: tuple[int, int] | None = None
    # Whether it has been closed, perhaps under Django's feet.
    closed = False
    # Whether a transaction was lost with it.
    transaction_broken = False
    # Whether the session is no longer as it was when the connection was opened.
    session_changed = False
    # Whether SQLite calls what the project has registered with this connection.
    calls_back = False
    # Cursors to be closed when the thread is done that has the connection, if one has.
    closed_meanwhile: list[Cursor] | None = None
    # The id of the greenlet that makes a call; its stack has the connection.
    _running: int | None = None
    # Whether the transaction has locked the file.
    _has_lock = False

    def __init__(self, database: Any, timeout: float = 5.0, **params: Any) -> None:
        super().__init__(database, timeout=0.0, **params)
        # Seconds to wait for a lock.
        self.timeout = timeout
        self.forks = forks()
        self._cursors: list[ref[Cursor]] = []

    def attach(self, gate: Gate, path: str) -> None:
        """Be the connection whose statements `gate` puts in order."""
        loop = bridge.current_loop()
        assert loop is not None
        self.gate = gate
        self.path = path
        self.turns = turns_of(loop)
        self.lock_queue = lock_queue_of(loop, path)
        self.progress = self.progress_handler = Progress(self.turns)
        self.ask_after(self.progress.pace.steps)

    # ----- calls

    def run(
        self, kind: StatementKind, sql: str, call: Callable[..., T], *args: Any
    ) -> T:
        """Return `call(*args)`, made when its turn has come; `sql` is what it runs."""
        me = id(bridge.getcurrent())
        if self._running == me:
            return call(*args)  # a function of SQL that asks its own connection
        if not bridge.in_bridge():
            raise bridge.BridgeError(
                f"A statement on '{self.gate.alias}' was attempted in code that does "
                "not run on the bridge. Call it as `await run_sync(function, ...)`, or "
                "use the async method (`aget`, `asave`, `async for`, ...)."
            )
        self.gate.acquire()
        try:
            check_usable(self)
            self.turns.begin()
            check_usable(self)  # meanwhile it may have been given up
            return self._run(me, kind, sql, call, *args)
        finally:
            self.gate.release()
            if self.lock_queue.waiting:
                self.lock_queue.wake()

    def _run(
        self, me: int, kind: StatementKind, sql: str, call: Callable[..., T], *args: Any
    ) -> T:
        inside = self.in_transaction
        self._has_lock = inside and self._has_lock
        self.session_changed = self.session_changed or kind is StatementKind.OTHER
        self.progress.may_end = not inside or kind is not StatementKind.WRITE
        self._running = me
        self.progress.pace.begin(self)
        if self._needs_thread(kind, sql):
            call = partial(self._in_thread, call)
        if (cache := self.lock_queue.cache) is not None:
            call = partial(cache.call, self._again, call)
        try:
            if not self.lock_queue.waiting or not self._lets_others_go_first(kind):
                try:
                    return call(*args)
                except sqlite3.OperationalError as exc:
                    if not self._may_wait(kind, exc):
                        raise
            return self.lock_queue.retry(
                partial(self._again, call, *args),
                partial(self._may_wait, kind),
                self.timeout,
                first=kind is StatementKind.COMMIT,
            )
        finally:
            self._running = self.progress.pace.connection = None
            if self.progress.failure is not None or self.progress.closing:
                self._break_off(inside and kind is not StatementKind.COMMIT)
            elif not self._has_lock and self.in_transaction:
                self._has_lock = takes_lock(kind, sql)

    def _needs_thread(self, kind: StatementKind, sql: str) -> bool:
        """Tell whether the loop would stand still while the statement runs."""
        return (
            (kind is StatementKind.WRITE or kind is StatementKind.OTHER)
            and long_steps.has_long_steps(sql)
            # What the project has registered is called where it expects to be.
            and not self.calls_back
            and self.progress_handler is self.progress
            and not long_steps.is_small(self.path)
            and bridge.can_wait()
        )

    def _in_thread(self, call: Callable[..., T], *args: Any) -> T:
        me = self._running
        self.closed_meanwhile = []
        # Ours is of the loop's thread.
        super().set_progress_handler(self.progress.ends, long_steps.STEPS)
        try:
            return bridge.await_(
                long_steps.call(self, partial(self._begin_here, call, *args))
            )
        finally:
            self._running = me
            cursors, self.closed_meanwhile = self.closed_meanwhile, None
            for cursor in cursors:
                cursor.close()
            self.ask_after(self.progress.pace.steps)

    def _begin_here(self, call: Callable[..., T], *args: Any) -> T:
        self._running = id(bridge.getcurrent())
        return call(*args)

    def _again(self, call: Callable[..., T], *args: Any) -> T:
        check_usable(self)  # meanwhile it may have been given up
        return call(*args)

    def _lets_others_go_first(self, kind: StatementKind) -> bool:
        """Tell whether a statement lets those go first who wait for the lock."""
        wants = kind is StatementKind.WRITE or kind is StatementKind.BEGIN
        return wants and not self._has_lock and self.timeout > 0 and bridge.can_wait()

    def _may_wait(self, kind: StatementKind, exc: Exception) -> bool:
        """Tell whether the statement is to be tried again when a lock is gone.

        As with SQLite's timeout: whoever has a lock must not wait for others, who
        would wait for that one.
        """
        code = getattr(exc, "sqlite_errorcode", 0)
        if kind is StatementKind.GOES_ON or self.timeout <= 0 or not bridge.can_wait():
            return False
        if self.progress.failure is not None or code == _BUSY_SNAPSHOT:
            return False
        if code & 0xFF == sqlite3.SQLITE_BUSY:
            return kind is StatementKind.COMMIT or not (
                self._has_lock or self._is_reading()
            )
        return code == _LOCKED_SHAREDCACHE

    def _is_reading(self) -> bool:
        return any(cursor.reading for cursor in self._live())

    def _break_off(self, inside: bool) -> None:
        """End a call whose task was cancelled, or whose connection is given up."""
        failure, self.progress.failure = self.progress.failure, None
        # To end a statement that writes, SQLite rolls back the transaction.
        if self.progress.closing or (inside and not self.in_transaction):
            self.transaction_broken = inside
            self._close()
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # else the traceback and this frame hold each other

    # ----- what sqlite3 has

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
        """Return a cursor; its calls are awaited."""
        check_usable(self)
        cursor = super().cursor(cursor_class(factory))
        if len(self._cursors) >= _CURSORS:
            self._cursors = [ref(each) for each in self._live()]
        self._cursors.append(ref(cursor))
        return cursor

    def _live(self) -> list[Cursor]:
        return [cursor for each in self._cursors if (cursor := each()) is not None]

    # sqlite3's own makes a cursor that is not ours.

    def execute(self, *args: Any) -> Any:
        return self.cursor().execute(*args)

    def executemany(self, *args: Any) -> Any:
        return self.cursor().executemany(*args)

    def executescript(self, script: str) -> Any:
        return self.cursor().executescript(script)

    def commit(self) -> None:
        self.run(StatementKind.COMMIT, "", super().commit)

    def rollback(self) -> None:
        self.run(StatementKind.INSIDE, "", super().rollback)

    @property
    def isolation_level(self) -> Any:
        """Whether sqlite3 begins transactions; to set it to None commits."""
        return _level.__get__(self)

    @isolation_level.setter
    def isolation_level(self, level: Any) -> None:
        self.run(StatementKind.COMMIT, "", _level.__set__, self, level)

    def set_progress_handler(self, handler: Any, n: int) -> None:
        """Have `handler` called as well as ours, at most so often as that."""
        self.session_changed = True
        both = self.progress if handler is None else _both(self.progress, handler)
        self.progress_handler = both
        self.ask_after(self.progress.pace.steps)

    def ask_after(self, steps: int) -> None:
        """Have SQLite ask after so many steps, also while it runs a statement."""
        if self._running is None or self.progress_handler is self.progress:
            super().set_progress_handler(self.progress_handler, steps)

    def __exit__(self, kind: Any, exc: Any, traceback: Any) -> Any:
        # sqlite3's own does not call these.
        if kind is None:
            self.commit()
        else:
            self.rollback()
        return False

    # ----- endings

    def close(self) -> None:
        """Close the connection; when the call ends, if one is being made."""
        self.closed = True
        if self._running is not None:
            self.progress.closing = True
        else:
            self._close()

    drop = close

    def _close(self) -> None:
        self.closed = True
        if self.inherited:
            _of_parent.append(self)
            return
        self.enter_soon(super().close)
        if self.lock_queue.waiting:
            self.lock_queue.wake()

    def enter_soon(self, function: Callable[[], Any]) -> None:
        """Call what enters SQLite and cannot wait."""
        if self.lock_queue.cache is None:
            function()
        else:
            self.lock_queue.cache.call_soon(function)

    def reset(self) -> bool:
        """Make the session as new for another block; False where that cannot be."""
        if (
            self.closed
            or self.inherited
            or self.session_changed
            or self._running is not None
            or self.in_transaction
            or self.isolation_level is not None
            or self.row_factory is not None
            or self.text_factory is not str
        ):
            return False
        for cursor in self._live():
            cursor.close()
        self._cursors.clear()
        return True

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()


def _both(ours: Progress, theirs: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: ours() or theirs()


def _touching(name: str, calls_back: bool) -> Any:
    def method(self: Connection, *args: Any, **kwargs: Any) -> Any:
        self.session_changed = True
        self.calls_back = self.calls_back or calls_back
        return getattr(super(Connection, self), name)(*args, **kwargs)

    method.__name__ = name
    return method


def _entering(name: str) -> Any:
    def method(self: Connection, *args: Any, **kwargs: Any) -> Any:
        call = partial(getattr(super(Connection, self), name), *args, **kwargs)
        if self.lock_queue.cache is None:
            return call()
        return self.run(StatementKind.OTHER, "", call)

    method.__name__ = name
    return method


_CALLING_BACK = (
    *("create_aggregate", "create_collation", "create_function"),
    *("create_window_function", "set_authorizer", "set_trace_callback"),
)
_OTHERS = "enable_load_extension", "load_extension", "setconfig", "setlimit"

for _name in _CALLING_BACK + _OTHERS:
    if hasattr(sqlite3.Connection, _name):
        setattr(Connection, _name, _touching(_name, _name in _CALLING_BACK))

# They enter a shared cache as statements do, and in turn with those.
for _name in ("backup", "blobopen", "deserialize", "serialize"):
    if hasattr(sqlite3.Connection, _name):
        setattr(Connection, _name, _entering(_name))

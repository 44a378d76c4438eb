"""BEGIN and SAVEPOINT, due until the next statement, travel with it in one round trip.

They go as a pipeline of libpq's that ends with the statement: the server runs them in
order, a failing one ends it, and each has a result of its own. In a block only.

In: a block's connection, not in autocommit, and what sends one statement.
Out: the results of that statement.
"""

import re
from collections.abc import Callable, Generator, Iterator
from functools import cache, partial
from typing import Any

from django.db.backends.postgresql.base import Cursor
from psycopg import Error, OperationalError, capabilities, errors, pq
from psycopg.generators import execute, fetch_many

from .connection import Connection
from .transaction_status import IDLE

FATAL_ERROR = pq.ExecStatus.FATAL_ERROR
BAD = pq.ConnStatus.BAD

# libpq before 14 has none: there each goes alone, when it is due.
PIPELINES = capabilities.has_pipeline()

# Of a text that may be sent by the extended protocol: one statement, no COPY, and no
# `$1`, which there would be a parameter. pg_cursors would have the statement itself.
_ONE_STATEMENT = re.compile(
    r"(?![^;]*pg_cursors)\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b[^;$]*", re.IGNORECASE
)


class DueSavepoints:
    """Savepoints of a connection that the server has not been told of.

    `names` has them outermost first. They are among what the connection settles.
    """

    __slots__ = ("_connection", "names")

    def __init__(self) -> None:
        # While there are names; a cycle would outlive the block.
        self._connection: Connection | None = None
        self.names: dict[str, bytes] = {}

    def may_add(self, connection: Connection) -> bool:
        """Tell whether nothing on the connection is to be settled before."""
        return all(each is self for each in connection.unsettled)

    def add(self, connection: Connection, name: str, command: str) -> None:
        """Let the savepoint `name` wait for the next statement."""
        if not self.names:
            self._connection = connection
            connection.unsettled.append(self)
        self.names[name] = command.encode()

    def drop(self, name: str | None = None) -> bool:
        """Forget the savepoint `name` and all inside, or all; False if it was sent."""
        if name is not None and name not in self.names:
            return False
        return self._drop(name, keep=0)

    def drop_inside(self, name: str) -> bool:
        """Forget the savepoints inside of `name`; False if that was sent."""
        return name in self.names and self._drop(name, keep=1)

    def _drop(self, name: str | None, keep: int) -> bool:
        names = list(self.names)
        first = 0 if name is None else names.index(name) + keep
        for each in names[first:]:
            del self.names[each]
        if not self.names and self._connection is not None:
            if self in self._connection.unsettled:
                self._connection.unsettled.remove(self)
            self._connection = None
        return True

    def take(self) -> list[bytes]:
        """Return the commands, to be sent now."""
        commands = list(self.names.values())
        self.drop()
        return commands

    def settle(self) -> None:
        """Send them alone, before a statement that they cannot go with."""
        raw = self._connection
        assert raw is not None
        *before, last = [*_begin(raw), *self.take()]
        send = partial(raw.pgconn.send_query_params, last, None)
        raw.wait(_checked(raw, before, send))


def are_due(raw: Any) -> bool:
    """Tell whether the next statement of a connection may have others before it."""
    return (
        PIPELINES
        and isinstance(raw, Connection)
        and (raw.pgconn.transaction_status == IDLE or bool(raw.due and raw.due.names))
    )


def send(raw: Connection, send_statement: Callable[[], None]) -> list[Any]:
    """Send what is due and a statement; return the statement's results."""
    lock: Any = raw.lock
    lock.acquire(keep=raw.due)
    try:
        results: list[Any] = raw.wait(_all_due(raw, send_statement))
    finally:
        lock.__exit__()
    return results


def _all_due(raw: Connection, send_statement: Callable[[], None]) -> Any:
    # Looked up with the lock: whoever had it before may have sent them.
    commands = [*_begin(raw), *(raw.due.take() if raw.due else ())]
    return _together(raw, commands, send_statement)


def _begin(raw: Connection) -> list[bytes]:
    idle = raw.pgconn.transaction_status == IDLE and not raw._autocommit
    return [raw._get_tx_start_command()] if idle else []


def _together(
    raw: Connection, commands: list[bytes], send_statement: Callable[[], None]
) -> Generator[Any, Any, list[Any]]:
    """Send `commands` and a statement in one trip; return the statement's results.

    Raises the error of a command. If the statement cannot be sent, they are done.
    """
    pgconn = raw.pgconn
    if not commands:
        send_statement()
        alone: list[Any] = yield from execute(pgconn)
        return alone
    raw._check_connection_ok()
    pgconn.enter_pipeline_mode()
    unsent: Exception | None = None
    for command in commands:
        pgconn.send_query_params(command, None)
    try:
        send_statement()
    except Exception as exc:
        unsent = exc
    sync(pgconn)
    results: list[list[Any]] = [(yield from execute(pgconn))]
    for _ in range(len(commands) + (unsent is None)):
        try:
            results.append((yield from fetch_many(pgconn)))
        except Error:
            # The server may have said why before it closed the connection.
            if not any(map(_error, results)):
                raise
            break
    if pgconn.status != BAD:
        pgconn.exit_pipeline_mode()
    for result in results[: len(commands)]:
        if (error := _error(result)) is not None:
            raise errors.error_from_result(error, encoding=raw.info.encoding)
    if unsent is not None:
        raise unsent
    return results[len(commands)]


def sync(pgconn: Any) -> None:
    """End a pipeline: psycopg says of every failure that there was none."""
    try:
        pgconn.pipeline_sync()
    except OperationalError:
        message = pgconn.get_error_message()
        raise OperationalError(f"sending query failed: {message}") from None


def _error(results: list[Any]) -> Any:
    """Return the error among the results of one statement, or None."""
    return next((each for each in results if each.status == FATAL_ERROR), None)


def _checked(
    raw: Connection, commands: list[bytes], send_statement: Callable[[], None]
) -> Generator[Any, Any, None]:
    results = yield from _together(raw, commands, send_statement)
    if (error := _error(results)) is not None:
        raise errors.error_from_result(error, encoding=raw.info.encoding)


class _Gathered:
    """What psycopg puts into a pipeline: BEGIN, and the statement of one cursor.

    Nothing of it is sent before both are there.
    """

    def __init__(self, raw: Connection) -> None:
        self.raw = raw
        self.command_queue: list[Callable[[], None]] = []
        self.result_queue: list[Any] = []

    def _sync_gen(self) -> Iterator[Any]:
        return iter(())  # psycopg's would have the server begin now

    def _communicate_gen(self) -> Generator[Any, Any, None]:
        (cursor, _), send_statement = self.result_queue[-1], self.command_queue[-1]
        results = yield from _all_due(self.raw, send_statement)
        cursor._check_results(results)
        cursor._set_results(results)


@cache
def _class_of_cursors(base: Any) -> type[Any]:
    class FirstCursor(base):
        __slots__ = ()

        def _execute_gen(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            raw: Any = self._conn
            begins = raw.pgconn.transaction_status == IDLE and not raw._autocommit
            if not begins or raw._pipeline or not _may_be_extended(query):
                yield from super()._execute_gen(query, *args, **kwargs)
                return
            raw._pipeline = _Gathered(raw)
            try:
                yield from super()._execute_gen(query, *args, **kwargs)
            finally:
                raw._pipeline = None

    FirstCursor.__name__ = FirstCursor.__qualname__ = base.__name__
    FirstCursor.__module__ = base.__module__
    return FirstCursor


def _may_be_extended(query: Any) -> bool:
    return type(query) is str and _ONE_STATEMENT.fullmatch(query) is not None


def begin_by(cursor: Any) -> None:
    """Have `cursor` send BEGIN with its statement, if that is the first one."""
    if type(cursor) is not Cursor:
        return
    raw: Any = cursor.connection
    if not raw._autocommit and are_due(raw):
        kind: Any = Cursor
        cursor.__class__ = _class_of_cursors(kind)

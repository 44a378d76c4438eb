"""A connection of asyncmy's with the interface of MySQLdb's, awaited by the loop.

Django's backend and MySQLdb's own cursors use it; a statement is written out by
MySQLdb's functions. All rows of a result arrive before the first is read, as MySQLdb
has it by default. When its task is cancelled, a statement is ended by `KILL QUERY`, and
the connection goes on.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import MySQLdb
from asyncmy.connection import Connection as AsyncmyConnection
from asyncmy.connection import MySQLResult
from asyncmy.constants.CLIENT import DEPRECATE_EOF
from asyncmy.errors import MySQLError
from MySQLdb import _mysql
from MySQLdb.connections import Connection as Djangos

from ... import bridge
from ...tasks.gates import Gate
from ..forks import OfOneProcess, forks
from ..psycopg.cancellation import DRAIN_SHARES, DRAIN_TIMEOUT, logger
from ..usable import check_usable
from . import errors, known_columns
from .options import Options
from .result import Result
from .steps import Steps

# In the status of a session: no backslashes in texts.
_NO_BACKSLASH_ESCAPES = 512
# asyncmy does not know how the server wants to be told who it is.
_CANNOT_LOAD_PLUGIN = 2059
_GONE = 2006

_Send = Callable[..., Coroutine[Any, Any, Any]]

# Not even to be closed: the loop that they are registered with is the parent's.
_of_parent: list[Any] = []


class Driver(AsyncmyConnection):
    """asyncmy's connection."""

    async def _get_server_information(self) -> None:
        await super()._get_server_information()
        # By that asyncmy takes a row that begins with 16 MB for the end of the rows.
        self.server_capabilities &= ~DEPRECATE_EOF


class UnfitError(Exception):
    """asyncmy cannot open the connection; MySQLdb may."""


def connect(gate: Gate, options: Options) -> Connection:
    """Return a connection that is as MySQLdb's would be.

    Raises MySQLdb's errors, and UnfitError where it should be asked instead.
    """
    driver = bridge.await_(_open(options))
    connection = Connection(gate, options, driver)
    try:
        connection.begin_session()
    except BaseException:
        connection.drop()
        raise
    return connection


async def _open(options: Options) -> Any:
    try:
        return await _connected(options)
    except MySQLError as exc:
        if exc.args[0] == _CANNOT_LOAD_PLUGIN:
            raise UnfitError from exc
        raise errors.mysqldbs(exc) from exc
    except RuntimeError as exc:  # a package that encrypts passwords is not there
        raise UnfitError from exc


class Connection(OfOneProcess):
    """A connection of a block."""

    Warning = Djangos.Warning
    Error = Djangos.Error
    InterfaceError = Djangos.InterfaceError
    DatabaseError = Djangos.DatabaseError
    DataError = Djangos.DataError
    OperationalError = Djangos.OperationalError
    IntegrityError = Djangos.IntegrityError
    InternalError = Djangos.InternalError
    ProgrammingError = Djangos.ProgrammingError
    NotSupportedError = Djangos.NotSupportedError

    cursor = Djangos.cursor
    begin = Djangos.begin
    literal = Djangos.literal
    set_sql_mode = Djangos.set_sql_mode
    show_warnings = Djangos.show_warnings
    _bytes_literal = Djangos._bytes_literal
    _tuple_literal = Djangos._tuple_literal
    _set_literal = Djangos._set_literal

    _server_version = 5, 5

    def __init__(self, gate: Gate, options: Options, driver: Any) -> None:
        given = options.given
        self.gate = gate
        # asyncmy's.
        self.driver = driver
        self._loop: Any = bridge.current_loop()
        self._options = options
        self.forks = forks()
        self._result: Any = None
        self.closed = False
        # Whether a transaction may be open: from before it begins until after its end.
        self.may_be_in_transaction = False
        # Whether a transaction was lost with it.
        self.transaction_broken = False
        # What MySQLdb's has.
        self.encoding = "utf8"
        self.cursorclass = Djangos.default_cursor
        self.executemany_fallback = Djangos.executemany_fallback
        self.encoders = {k: v for k, v in given["conv"].items() if type(k) is not int}
        self.converter = given["conv"]
        self.client_flag = driver._client_flag
        self.server_capabilities = driver.server_capabilities
        self.messages: list[Any] = []
        self._binary_prefix = given.get("binary_prefix", False)
        self.host = given.get("host") or "localhost"
        self.port = given.get("port") or 3306
        self.user = given.get("user")
        self.database = self.db = options.driver["database"] or ""

    def begin_session(self) -> None:
        """Send what MySQLdb and its library send to begin with."""
        given = self._options.given
        if given.get("init_command"):
            self.query(given["init_command"])
            while self.next_result() == 0:
                pass
        self.set_character_set(given["charset"], given.get("collation"))
        if given.get("sql_mode"):
            self.set_sql_mode(given["sql_mode"])
        if (autocommit := given.get("autocommit", False)) is not None:
            self.autocommit(autocommit)

    @property
    def open(self) -> bool:
        """Whether it is usable, as far as that is known."""
        return not self.closed

    # ----- statements

    def query(self, query: Any) -> None:
        """Send a statement and read its first result."""
        if isinstance(query, str):
            query = query.encode(self.encoding)
        self._run(self._read, self.driver.query, bytes(query), killable=True)

    def next_result(self) -> int:
        """Read the next result of several; return -1 if there is none."""
        if self._result is None or not self._result.has_next:
            return -1
        self._run(self._read, self.driver.next_result, killable=True)
        return 0

    def more_results(self) -> bool:
        return self._result is not None and bool(self._result.has_next)

    async def _read(self, send: _Send, *args: Any) -> Any:
        try:
            found = await send(*args)
        except UnicodeError:  # text that the server says is in UTF-8
            await self._skip_rows()
            raise
        self._result = self.driver._result
        if (failure := self._options.failures.take()) is not None:
            raise failure
        return found

    async def _skip_rows(self) -> None:
        result: Any = MySQLResult(self.driver)
        while not result._check_packet_is_eof(await self.driver.read_packet()):
            pass
        # Else it is not known any more what comes next.
        self._result = None if not result.has_next else result

    def commit(self) -> None:
        self._run(self.driver.commit)

    def rollback(self) -> None:
        self._run(self.driver.rollback)

    def autocommit(self, on: Any) -> None:
        self._run(self.driver.autocommit, bool(on))

    def ping(self) -> None:
        if self.closed:
            raise MySQLdb.OperationalError(_GONE, "The connection is closed.")
        self._run(self.driver.ping, False)

    def select_db(self, database: str) -> None:
        self._run(self.driver.select_db, database)

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        collate = f" COLLATE {collation}" if collation else ""
        self.query(f"SET NAMES {charset}{collate}")

    # ----- what is known of the last result

    def store_result(self) -> Result | None:
        """Return the rows of the last result, None where it has none."""
        result = self._result
        if result is None or result.description is None:
            return None
        return Result(result.rows, result.fields)

    use_result = store_result

    def fetch(self, query: bytes, sql: str) -> Any:
        """Send a statement, which is `sql` with values; return all rows it gives."""
        send = known_columns.rows, self.driver, query, sql
        return self._run(self._read, *send, killable=True)

    def discard_result(self) -> None:
        """Do nothing: the result has been read."""

    def affected_rows(self) -> int:
        return self._result.affected_rows if self._result else 0

    def insert_id(self) -> int:
        return (self._result.insert_id or 0) if self._result else 0

    def warning_count(self) -> int:
        return self._result.warning_count if self._result else 0

    def field_count(self) -> int:
        return self._result.field_count if self._result else 0

    def info(self) -> str | None:
        message = self._result.message if self._result else None
        return message.decode("utf8", "replace") if message else None

    # ----- what is known of the session

    def get_autocommit(self) -> bool:
        return bool(self.driver.get_autocommit())

    def thread_id(self) -> int:
        return int(self.driver.thread_id())

    def get_server_info(self) -> str:
        # MariaDB's is told so that old clients of MySQL's understand it.
        return str(self.driver.server_version).removeprefix("5.5.5-")

    def get_host_info(self) -> str:
        return str(self.driver.get_host_info())

    def get_proto_info(self) -> int:
        return int(self.driver.get_proto_info())

    def character_set_name(self) -> str:
        return str(self.driver.character_set_name())

    # ----- texts of values

    def string_literal(self, value: Any) -> bytes:
        """Return a text in quotes, as the session wants it."""
        if not self.driver.server_status & _NO_BACKSLASH_ESCAPES:
            return bytes(_mysql.string_literal(value))
        if not isinstance(value, bytes | bytearray):
            value = str(value).encode(self.encoding)
        return b"'%s'" % bytes(value).replace(b"'", b"''")

    def escape_string(self, value: Any) -> bytes:
        return self.string_literal(value)[1:-1]

    def escape(self, value: Any, mapping: Any = None) -> Any:
        """Return the literal of a value of a type that `mapping` knows."""
        mapping = self.encoders if mapping is None else mapping
        if type(value) not in mapping and not isinstance(value, str):
            return self.string_literal(value)
        return _mysql.escape(value, mapping)

    # ----- waits

    def _run(self, send: _Send, *args: Any, killable: bool = False) -> Any:
        """Have `send(*args)` sent in turn; wait for the answer, and return it.

        Broken off, the answer is waited for all the same, and the connection closed if
        that takes too long. A statement is ended where that can be done.
        """
        if self.inherited:
            check_usable(self)
        self.gate.acquire()
        try:
            return bridge.await_(self._wait(send, args, killable))
        finally:
            self.gate.release()

    async def _wait(self, send: _Send, args: tuple[Any, ...], killable: bool) -> Any:
        check_usable(self)
        steps = Steps(send(*args), self.driver)
        try:
            return await steps
        except GeneratorExit:
            self._give_up()
            steps.close()
            raise
        except Exception as exc:
            if not errors.is_servers(exc) and not self._is_whole(exc):
                self._give_up()
            if isinstance(exc, MySQLError):
                raise errors.mysqldbs(exc) from None
            raise
        except BaseException:
            await self._break_off(steps, killable)
            raise

    def _is_whole(self, exc: Exception) -> bool:
        """Tell whether all of the answer has been read before the error."""
        return not isinstance(exc, MySQLError) and self._result is self.driver._result

    async def _break_off(self, steps: Steps, killable: bool) -> None:
        """Leave the connection to nobody before the server is done with it."""
        ending = asyncio.ensure_future(self._end(steps, killable))
        try:
            await asyncio.wait({ending}, timeout=DRAIN_TIMEOUT)
            if not ending.done():
                logger.warning("closing a connection: its statement does not end")
        finally:
            if not ending.done():
                ending.cancel()
                self._give_up()

    async def _end(self, steps: Steps, killable: bool) -> None:
        reading = asyncio.ensure_future(_read_to_the_end(steps))
        try:
            killed = killable and await self._kill_until(reading)
            if not await reading:
                self._give_up()
            elif killed:
                # A kill that came late ends the next statement: that is this one.
                with suppress(MySQLError):
                    await self.driver.query(b"DO 0")
        finally:
            reading.cancel()

    async def _kill_until(self, reading: asyncio.Future[bool]) -> bool:
        """Have the statement ended; return whether it was tried at all."""
        # What reaches the server before the statement has begun ends nothing.
        for share in DRAIN_SHARES:
            # The answer may be there already, not yet read.
            await asyncio.sleep(0)
            if reading.done():
                return share is not DRAIN_SHARES[0]
            with suppress(Exception):
                await self._kill()
            await asyncio.wait({reading}, timeout=share * DRAIN_TIMEOUT)
        return True

    async def _kill(self) -> None:
        another = await _connected(self._options)
        try:
            await another.query(b"KILL QUERY %d" % self.thread_id())
        finally:
            another.close()

    # ----- endings

    def close(self) -> None:
        """Close the connection; tells the server if that can be waited for."""
        if bridge.can_wait() and not self.closed and not self.inherited:
            with suppress(MySQLdb.Error):
                self._run(self.driver.ensure_closed)
        self.drop()

    def _give_up(self) -> None:
        self.transaction_broken = self.may_be_in_transaction
        self.drop()

    def drop(self) -> None:
        """Close the socket; waits for nothing."""
        if self.closed:
            return
        self.closed = True
        if self.inherited:
            _of_parent.append(self.driver)
            return
        if (transport := self.driver._transport) is None:
            return
        try:
            if self._loop.is_running() and bridge.current_loop() is not self._loop:
                # The collector runs in any thread.
                self._loop.call_soon_threadsafe(transport.abort)
            else:
                transport.abort()
        except RuntimeError:  # its loop is closed
            with suppress(OSError):
                transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(AttributeError):  # it was never made
            self.drop()


async def _connected(options: Options) -> Any:
    driver: Any = Driver(**options.driver)
    await driver.connect()
    return driver


async def _read_to_the_end(steps: Steps) -> bool:
    """Read what the server answers; return whether it goes on with the connection."""
    try:
        await steps
    except Exception as exc:
        return errors.is_servers(exc)
    return True

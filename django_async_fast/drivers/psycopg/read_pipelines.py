"""Reads of calls that wait for the same connection, sent to the server as one pipeline.

A call that does one read and no more opens it, when its turn has come and others like
it wait next; they begin, and join it before it is sent, in the loop's same turn. A Sync
follows each statement: the server runs them in order, each in a transaction of its own,
and an error of one is not the others'. Whoever is cancelled leaves, its answer is read
and thrown away.

In: a block's connection in autocommit mode, and the text of a read.
Out: the results of that statement.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, Future
from collections.abc import Generator, Iterable
from contextlib import suppress
from contextvars import Context
from time import monotonic
from typing import Any

import psycopg
from psycopg import pq
from psycopg.generators import fetch_many
from psycopg.generators import send as flush

from ... import _native, bridge
from ...bridge.users_code import Place, place_of
from ...tasks import gate_errors
from ...tasks.gates import Gate
from ...tasks.units import Waiter, WaiterQueue
from .connection import Connection
from .due_statements import PIPELINES, sync
from .transaction_status import IDLE

BINARY = pq.Format.BINARY


class JoinedRead(Waiter):
    """A read of a pipeline; the future has its results, None if it was not sent."""

    __slots__ = ("context", "query")

    def __init__(
        self,
        query: bytes,
        call: bridge.Call,
        pipeline: ReadPipeline,
        loop: AbstractEventLoop,
    ) -> None:
        super().__init__(call, pipeline, loop)
        self.query = query
        self.context: Context = bridge.getcurrent().gr_context

    @property
    def place(self) -> Place:
        """Where the user's code is that waits."""
        return next(filter(None, map(place_of, bridge.frames_of(self.call))), None)


class ReadPipeline(WaiterQueue):
    """Holds the gate of its connection from when it is opened until the last answer.

    Those that wait are the reads that have no answer yet, in their order: the first is
    the server's at work. One that was cancelled stays, once it was sent, and is not
    stopped while somebody waits for one behind it: of 2,000 requests to cancel a
    statement that was about to end 92 have stopped the next one.
    """

    waiting: Any = ()
    # The operation, from when it is sent until it has ended.
    exchange: Generator[Any, Any, None] | None = None

    def __init__(self, raw: Connection, gate: Gate, loop: AbstractEventLoop) -> None:
        self.raw = raw
        self.gate = gate
        self.loop = loop
        self.sent = False
        self.broken_off = False
        self.counted: Any = _native.rows.WaitingRead()

    def results(self, call: bridge.Call, query: bytes) -> list[Any] | None:
        """Return the results of `query`, None if it was not sent."""
        read = JoinedRead(query, call, self, self.loop)
        self.append(read, self.loop)
        try:
            found: list[Any] | None = bridge.await_(read.future)
        except BaseException as exc:
            with suppress(RuntimeError):  # of a loop that is closed
                read.future.cancel()
            self._leave(exc)
            raise
        if found is not None and self.raw.closed:
            # Since, by one behind it: its session would not say how to read them.
            raise _new_error(None)
        return found

    def send(self) -> None:
        """Send what has been joined: all have begun that were to."""
        self.counted = None
        self.sent = True
        for read in [*self.waiting]:
            if read.future.done():
                self.remove(read)
        raw = self.raw
        # Else each is told by what it does alone.
        if not self.waiting or not self.gate.root.open or not _is_at_rest(raw):
            for read in self.waiting:
                read.future.set_result(None)
            self._end()
            return
        self.exchange = exchange = self._exchange([*self.waiting])
        try:
            channel = raw.session.channel or raw._open_channel()
            wants = next(exchange)
            driven = channel.drive(exchange, wants)
        except BaseException as exc:
            self._end(exc)
        else:
            driven.add_done_callback(self._done, context=Context())

    def _exchange(self, reads: list[JoinedRead]) -> Generator[Any, Any, None]:
        pgconn, streamed = self.raw.pgconn, self.raw.session.streamed
        channel = self.raw.session.channel
        assert channel is not None
        pgconn.enter_pipeline_mode()
        if streamed:
            sync(pgconn)  # what comes first is not a read
        for read in reads:
            pgconn.send_query_params(read.query, None, result_format=BINARY)
            sync(pgconn)
        yield from flush(pgconn)
        if streamed:
            yield from fetch_many(pgconn)
            self.raw.session.streamed = False
        for read in reads:
            if not self.broken_off:  # else a task goes on with this, in its own
                channel.context = read.context
            results = yield from fetch_many(pgconn)
            self.remove(read)
            self.progress = self.gate.progress = self.gate.units.progress = monotonic()
            if not read.future.done():
                read.future.set_result(results)
            yield from fetch_many(pgconn)  # of the Sync
            if self._is_abandoned():
                # Not here, where an eager task would take its first step: the operation
                # that is to be broken off is at work.
                self.loop.call_soon(self._stop, context=Context())
        pgconn.exit_pipeline_mode()

    def _done(self, driven: Future[None]) -> None:
        self._end(driven.exception())

    def _end(self, error: BaseException | None = None) -> None:
        if error is not None and self.raw.pgconn.pipeline_status:
            self.raw.drop()  # broken off between two answers
        for read in [*self.waiting]:
            self.remove(read)
            if not read.future.done():
                read.future.set_exception(_new_error(error))
                read.future.exception()  # perhaps nobody is left to hear it
                if not isinstance(error, psycopg.Error):
                    error = None  # what was not of the connection is told once
        self.exchange = None  # which knows the pipeline
        self.gate.pipeline = None
        self.gate.release()

    def _is_abandoned(self) -> bool:
        """Tell whether the server works, and nobody is left that waits for it."""
        return (
            self.sent
            and not self.broken_off
            and bool(self.waiting)
            and all(read.future.done() for read in self.waiting)
        )

    def _stop(self) -> None:
        bridge.begin_task(self.loop, bridge.run(self._leave, CancelledError()))

    def _leave(self, exc: BaseException) -> None:
        """See to the connection if it is abandoned."""
        if not self._is_abandoned():
            return
        channel = self.raw.session.channel
        if channel is None or not channel.busy:
            return  # it has failed
        self.broken_off = True
        try:
            assert self.exchange is not None
            self.raw.wait_failed(self.exchange, channel, exc, IDLE)
        finally:
            self._end()

    # ----- in vain

    def holders(self) -> Iterable[bridge.Call]:
        return [self.waiting[0].call]

    def deadlocked(self, read: JoinedRead) -> None:
        """Do nothing: the server waits for none of them."""

    def overdue(self, read: JoinedRead, timeout: float) -> None:
        """Let `read` wait no longer for those before it; it stays, as if cancelled."""
        if read is not self.waiting[0]:
            read.future.set_exception(gate_errors.timed_out(self.gate, read, timeout))


def _new_error(error: BaseException | None) -> BaseException:
    """Return an error for one of several; none may be raised in two."""
    if error is None:
        return psycopg.OperationalError("the connection is closed")
    if isinstance(error, psycopg.Error):
        return type(error)(*error.args)
    return error


def join(raw: Any, query: bytes) -> list[Any] | None:
    """Return the results of the read that is all of a call, sent with those of others.

    None where it is to be sent alone.
    """
    call = bridge.current_call()
    if call is None or call.read is None or not call.read.ready:
        return None
    call.read.ready = False
    if type(raw) is not Connection or not bridge.can_wait():
        return None
    gate = raw.gate
    pipeline = gate.pipeline
    if gate.innermost is not gate.root or gate.caller_scope() is not gate.root:
        return None
    if pipeline is None:
        pipeline = _opened(raw, gate, call)
    if pipeline is None or pipeline.sent or pipeline.raw is not raw:
        return None
    return pipeline.results(call, query)


def _opened(raw: Connection, gate: Gate, call: bridge.Call) -> ReadPipeline | None:
    if gate.busy or not gate.is_free_for(call) or not gate.root.open:
        return None
    if not _is_at_rest(raw) or not gate.units.reads_wait(call):
        return None
    loop = bridge.current_loop()
    assert loop is not None
    gate.acquire()
    gate.pipeline = pipeline = ReadPipeline(raw, gate, loop)
    # They take their first steps, in which they join, before the loop calls the last.
    gate.units.start_reads(call)
    loop.call_soon(pipeline.send, context=Context())
    return pipeline


def _is_at_rest(raw: Connection) -> bool:
    """Tell whether statements may be sent outside of a transaction, and no more."""
    return (
        PIPELINES
        and raw._autocommit
        and not raw.returned
        and not raw.unsettled
        and not raw.session.inherited
        and raw.pgconn.transaction_status == IDLE
    )

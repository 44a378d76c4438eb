"""Random concurrent programs on one connection, against what the scope rule allows.

A program is a few tasks of writes, pauses, atomic blocks, failures and children;
tasks may be cancelled at any time. Afterwards each row must be there exactly if its
write and every atomic block around it succeeded, and no transaction may hold writes
of two that did not share an atomic block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_async_fast import new_connection
from tests.support.configured import configured
from tests.support.every_await import runner

from .conftest import Watch

EXAMPLES = 300

write = st.just(("write",))
pause = st.tuples(st.just("pause"), st.integers(1, 4))
fail = st.just(("fail",))
# Cancelled after so many turns of the loop.
turns = st.none() | st.integers(1, 30)


def _blocks(steps: Any) -> Any:
    body = st.lists(steps, min_size=1, max_size=4)
    child = st.tuples(body, turns)
    return st.one_of(
        st.tuples(st.just("atomic"), body, st.booleans()),
        st.tuples(st.just("children"), st.lists(child, min_size=1, max_size=3)),
    )


step = st.recursive(write | write | pause | fail, _blocks, max_leaves=6)
program = st.lists(
    st.tuples(st.lists(step, min_size=1, max_size=4), turns), min_size=1, max_size=8
)


class Planned(Exception):
    """The program's own failure."""


@dataclass(eq=False)
class Block:
    """One run of an atomic block, and how it ended."""

    around: Block | None
    state: str = "open"  # then: kept, undone, or unknown

    def line(self) -> Iterator[Block]:
        block: Block | None = self
        while block is not None:
            yield block
            block = block.around


@dataclass
class Write:
    name: str
    block: Block | None
    state: str = "sent"  # then: done, failed, or unknown
    xid: str = ""

    def expected(self) -> set[bool]:
        """Whether the row may be there, and whether it may be missing."""
        states = [
            self.state,
            *(b.state for b in (self.block and self.block.line()) or ()),
        ]
        if "failed" in states or "undone" in states:
            return {False}
        if "unknown" in states:
            return {True, False}
        return {True}

    def owner(self) -> Any:
        return [*self.block.line()][-1] if self.block else self.name


@dataclass
class History:
    writes: list[Write] = field(default_factory=list)
    cancelled: bool = False
    numbers: Any = field(default_factory=count)


async def run_steps(
    steps: list[Any], block: Block | None, conn: Any, history: History
) -> None:
    for kind, *arguments in steps:
        if kind == "write":
            await _write(block, conn, history)
        elif kind == "pause":
            for _ in range(arguments[0]):
                await asyncio.sleep(0)
        elif kind == "fail":
            raise Planned
        elif kind == "atomic":
            await _atomic(*arguments, block, conn, history)
        else:
            await _children(arguments[0], block, conn, history)


async def _children(
    children: list[Any], block: Block | None, conn: Any, history: History
) -> None:
    running = [
        asyncio.create_task(run_steps(body, block, conn, history))
        for body, _ in children
    ]
    try:
        turns = (turns for _, turns in children)
        await _cancel_in_time(dict(zip(running, turns, strict=True)))
    finally:
        ended = await asyncio.gather(*running, return_exceptions=True)
    for error in ended:
        if error is not None:
            _check_error(error, history)


async def _write(block: Block | None, conn: Any, history: History) -> None:
    write = Write(f"w{next(history.numbers)}", block)
    history.writes.append(write)
    try:
        async with conn.acursor() as cursor:
            await cursor.execute(
                "INSERT INTO testapp_tag (name) VALUES (%s) "
                "RETURNING pg_current_xact_id()::text",
                [write.name],
            )
            (write.xid,) = await cursor.fetchone()
    except DatabaseError:
        write.state = "failed"
        raise
    except BaseException:
        write.state = "unknown"
        raise
    write.state = "done"


async def _atomic(
    body: list[Any], caught: bool, around: Block | None, conn: Any, history: History
) -> None:
    block = Block(around)
    finished = False
    try:
        async with transaction.atomic():
            await run_steps(body, block, conn, history)
            finished = True
        block.state = "kept"
    except BaseException as error:
        # Broken off in COMMIT nobody knows; otherwise it is undone.
        unknown = finished and isinstance(error, asyncio.CancelledError)
        block.state = "unknown" if unknown else "undone"
        if not (caught and isinstance(error, Planned)):
            raise


def _check_error(error: BaseException, history: History) -> None:
    if isinstance(error, Planned):
        return
    allowed = (asyncio.CancelledError, DatabaseError, InterfaceError)
    assert history.cancelled, f"an error that nobody planned: {error!r}"
    assert isinstance(error, allowed), error


async def _run_program(tasks: list[Any], watch: Watch) -> None:
    watch.connection.execute("DELETE FROM testapp_tag")
    history = History(cancelled=_any_turns(tasks))
    async with asyncio.timeout(20):
        async with new_connection() as conn:
            await _children(tasks, None, conn, history)
            # Whatever happened, the connection serves the next statement.
            async with transaction.atomic():
                await _write(Block(None, "kept"), conn, history)
    _check(history, watch)


def _any_turns(tasks: list[Any]) -> bool:
    return any(
        turns
        or any(step[0] == "children" and _any_turns(step[1]) for step in _all(steps))
        for steps, turns in tasks
    )


def _all(steps: list[Any]) -> Iterator[Any]:
    for each in steps:
        yield each
        if each[0] == "atomic":
            yield from _all(each[1])


async def _cancel_in_time(turns_of: dict[asyncio.Task[None], int | None]) -> None:
    last = max((turns or 0 for turns in turns_of.values()), default=0)
    for turn in range(1, last + 1):
        await asyncio.sleep(0.0001)
        for task, turns in turns_of.items():
            if turns == turn:
                task.cancel()


def _check(history: History, watch: Watch) -> None:
    rows = {
        name for (name,) in watch.connection.execute("SELECT name FROM testapp_tag")
    }
    for each in history.writes:
        assert (each.name in rows) in each.expected(), (each, rows)
    owners: dict[str, Any] = {}
    for each in history.writes:
        if each.xid:
            owner = owners.setdefault(each.xid, each.owner())
            assert owner == each.owner(), "two share a transaction"
    _check_all_or_nothing(history, rows)


def _check_all_or_nothing(history: History, rows: set[str]) -> None:
    """A block of unknown outcome has all of its rows, or none."""
    found: dict[Block, set[bool]] = {}
    for each in history.writes:
        if each.state != "done" or each.block is None:
            continue
        line = list(each.block.line())
        unknown = [block for block in line if block.state == "unknown"]
        undone = any(block.state == "undone" for block in line)
        if len(unknown) == 1 and not undone:
            found.setdefault(unknown[0], set()).add(each.name in rows)
    assert all(len(outcomes) == 1 for outcomes in found.values())


@pytest.mark.keep_rows
def test_programs(watch: Watch, pytestconfig: pytest.Config) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(program)
    def check(tasks: list[Any]) -> None:
        runs(_run_program(tasks, watch))

    with configured(), runner(pytestconfig.option.loop) as runs:
        check()

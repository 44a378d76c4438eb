"""Nothing is kept: every output, every way to leave it and every way to fail, counted."""

import asyncio
import contextlib
import ctypes
import gc
import sys
import types
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db.models.base import ModelState

from .counting import steady
from .outputs import (
    FAILURES,
    FOR_ONE_RUN,
    NAMES,
    OUTPUTS,
    VALUE,
    Author,
    Book,
    Five,
    Picky,
    PickyState,
    Planned,
    Value,
    nothing,
    related,
)
from .sources import later

rows = pytest.importorskip("django_async_fast._rows")

COUNTS_BLOCKS = sys.getallocatedblocks() > 0  # not with PYTHONMALLOC=malloc


EXPECTED = (Planned, AttributeError, ValueError, RuntimeError)


# ---------------------------------------------------------------- ways to leave


class Source:
    """Awaitables, batches at hand, the end."""

    def __init__(self, batch: Any) -> None:
        self.steps = [later(batch), batch]

    def __call__(self) -> Any:
        return self.steps.pop() if self.steps else None

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.abandon()

    def abandon(self) -> None:
        for step in self.steps:
            getattr(step, "close", nothing)()


async def read(source: Any) -> None:
    async for _ in rows.AsyncRowIterator(source):
        pass


def finish(coroutine: Any) -> None:
    """Play the loop: whatever is awaited has come by the next turn."""
    with contextlib.suppress(StopIteration):
        while True:
            coroutine.send(None)


def iterate(batch: Any) -> Any:
    return rows.RowIterator(iter([batch, batch, None]).__next__)


def to_the_end(batch: Any) -> None:
    for _ in iterate(batch):
        pass


def closed(batch: Any) -> None:
    iterator = iterate(batch)
    next(iterator)
    iterator.close()


def by_awaiting(batch: Any) -> None:
    finish(read(Source(batch)))


def left_by_break(batch: Any) -> None:
    async def loop() -> None:
        async for _ in rows.AsyncRowIterator(Source(batch)):
            break

    finish(loop())


def closed_half_way(batch: Any) -> None:
    async def loop() -> None:
        iterator = rows.AsyncRowIterator(Source(batch))
        await anext(iterator)
        await iterator.aclose()

    finish(loop())


def suspended(batch: Any) -> Any:
    """A coroutine in the second fetch, the rows of the first one taken."""
    coroutine = read(Source(batch))
    coroutine.send(None)
    return coroutine


def cancelled(batch: Any) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        suspended(batch).throw(asyncio.CancelledError())


def in_a_cycle(batch: Any) -> None:
    source = types.SimpleNamespace(iterator=None)
    source.iterator = rows.RowIterator(partial(lambda source: batch, source))
    next(source.iterator)


WAYS: dict[str, Callable[[Any], Any]] = {
    "to the end": to_the_end,
    "dropped": lambda batch: next(iterate(batch)),
    "closed": closed,
    "kept": lambda batch: list(iterate(batch)),
    "at once": rows.items,
    "in a cycle": in_a_cycle,
    "by awaiting": by_awaiting,
    "left by break": left_by_break,
    "closed half-way": closed_half_way,
    "cancelled": cancelled,
    "closed while fetching": lambda batch: suspended(batch).close(),
    "forgotten while fetching": suspended,
}


def shared_by(plan: Any) -> tuple[Any, ...]:
    """What all rows of a plan refer to."""
    common = (None, True, 1, sys.intern("title"), sys.intern("name_0"), VALUE)
    return *common, Author, Book, Picky, ModelState, PickyState, Five, plan


# ---------------------------------------------------------------- the tests


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_outputs(output: str, way: str) -> None:
    plan = OUTPUTS[output]()
    batch = rows.TupleBatch(plan, [(VALUE,) * 5, [VALUE] * 5])
    steady(lambda: WAYS[way](batch), *shared_by(plan))


@pytest.mark.parametrize("way", ["to the end", "at once", "by awaiting"])
@pytest.mark.parametrize("failure", FAILURES)
def test_failures(failure: str, way: str) -> None:
    plan = FAILURES[failure]()
    batch = rows.TupleBatch(plan, [(VALUE,) * 5])

    def act() -> None:
        with contextlib.suppress(*EXPECTED):
            WAYS[way](batch)
            pytest.fail("nothing failed")

    steady(act, *shared_by(plan))


def test_fetches_that_fail() -> None:
    async def fails() -> None:
        raise Planned

    plan = OUTPUTS["instances"]()
    batch = rows.TupleBatch(plan, [(VALUE,) * 5])

    def act() -> None:
        with pytest.raises(Planned):
            finish(read(iter([batch, fails()]).__next__))

    steady(act, *shared_by(plan))


@pytest.mark.parametrize("name", [*OUTPUTS, *FOR_ONE_RUN, *FAILURES])
def test_plans_made_for_one_row(name: str) -> None:
    make = (OUTPUTS | FOR_ONE_RUN | FAILURES)[name]

    def act() -> None:
        with contextlib.suppress(*EXPECTED):
            to_the_end(rows.TupleBatch(make(), [(VALUE,) * 5]))

    steady(act, *shared_by(None))


def test_wide_rows() -> None:
    plan = rows.DictPlan(NAMES, width=70)
    batch = rows.TupleBatch(plan, [(VALUE,) * 70])
    steady(lambda: to_the_end(batch), VALUE, plan)


def test_relations_that_are_null() -> None:
    plan = related(local_cache="author", remote_cache="book")
    batch = rows.TupleBatch(plan, [(VALUE, VALUE, None, None, None)])
    steady(lambda: to_the_end(batch), *shared_by(plan))


def test_instances_that_refer_to_each_other_are_collected() -> None:
    plan = related(local_cache="author", remote_cache="book")
    books = list(iterate(rows.TupleBatch(plan, [(VALUE,) * 5])))
    for book in books:
        book._state.fields_cache["author"].me = book
    alive = [weakref.ref(book) for book in books]
    del book, books
    gc.collect()
    assert [ref() for ref in alive] == [None, None]
    assert not gc.garbage


def test_a_plan_that_leads_back_to_itself_is_collected() -> None:
    value = Value()
    plans: list[Any] = [value]
    converters = [(0, (plans.append,), plans)]
    plans.append(rows.TuplePlan(width=1, converters=converters, connection=plans))
    alive = weakref.ref(value)
    del plans, value, converters
    gc.collect()
    assert alive() is None


# ---------------------------------------------------------------- the counting itself

increment = ctypes.pythonapi.Py_IncRef
increment.argtypes = [ctypes.py_object]
malloc = ctypes.CDLL(None).malloc


def test_a_lost_reference_is_seen() -> None:
    with pytest.raises(AssertionError):
        steady(lambda: increment(VALUE), VALUE)


@pytest.mark.skipif(not COUNTS_BLOCKS, reason="Python counts no blocks")
def test_a_lost_object_is_seen() -> None:
    with pytest.raises(AssertionError):
        steady(lambda: increment(Value()))


@pytest.mark.skipif(not COUNTS_BLOCKS, reason="another malloc")
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc")
def test_lost_memory_is_seen() -> None:
    with pytest.raises(AssertionError):
        steady(lambda: malloc(16))

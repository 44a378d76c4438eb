"""Neither references nor memory are lost or kept, whatever a plan makes."""

import asyncio
import collections
import contextlib
import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from .plans import Failing, KnownField, Thing, Writer, build, model_plan, nothing
from .sources import Source, collect, later

rows = pytest.importorskip("django_async_fast._rows")


def refcount_cases() -> Iterator[tuple[str, Callable[[Any], Any]]]:
    Pair = collections.namedtuple("Pair", "x y")
    twice = (0, (lambda value, *_: [value], lambda value, *_: value[0]), None)
    late = [twice, (1, (Failing(),), None)]
    yield "tuple", lambda row: build(rows.TuplePlan(width=1), row)
    yield "flat", lambda row: build(rows.FlatPlan(width=2), row)
    yield "named", lambda row: build(rows.NamedPlan(Pair, width=2), row)
    yield "dict", lambda row: build(rows.DictPlan("ab", width=2), row)
    yield (
        "converted",
        lambda row: build(rows.TuplePlan(width=2, converters=[twice]), row),
    )
    yield (
        "converter fails",
        lambda row: build(rows.TuplePlan(width=2, converters=late), row),
    )
    yield "short row", lambda row: build(rows.TuplePlan(width=3), row)
    yield "model", lambda row: build(model_plan(Writer), row)
    yield "from_db", lambda row: build(model_plan(Writer, from_db=Writer.from_db), row)
    yield "from_db fails", lambda row: build(model_plan(Writer, from_db=Failing()), row)
    yield "peers", lambda row: build(model_plan(Writer, track_peers=True), row)
    related = partial(model_plan, Writer, width=2)
    for name, options in {
        "relation": {"local_cache": "a", "remote_cache": "b"},
        "setters": {"local_setter": nothing, "remote_setter": nothing},
        "setter fails": {"local_setter": Failing()},
    }.items():
        relation = rows.Relation(related(), **options)
        yield (
            name,
            lambda row, relation=relation: build(related(relations=[relation]), row),
        )
    yield (
        "annotation",
        lambda row: build(related(annotations=[("n", 1), ("m", 1, True)]), row),
    )
    broken = [("pk", 1), ("_state", 0, True), ("x" * 3, 1)]
    yield "odd annotation", lambda row: build(related(annotations=broken), row)
    known = rows.Known(KnownField(), {}, ["id"])
    yield "known", lambda row: build(related(known=[known]), row)


CASES = dict(refcount_cases())


@pytest.mark.parametrize("name", CASES)
def test_no_reference_is_lost_or_kept(name: str) -> None:
    value = Thing()
    row = (value, value)
    before = sys.getrefcount(value)
    for _ in range(20):
        with contextlib.suppress(ZeroDivisionError, ValueError):
            CASES[name](row)
    gc.collect()
    assert sys.getrefcount(value) == before


def test_no_memory_is_lost() -> None:
    async def once() -> None:
        batches = [rows.TupleBatch(model_plan(Writer), [(1, "a")] * 50) for _ in "ab"]
        async for _ in rows.AsyncRowIterator(Source(later(batches[0]), batches[1])):
            pass
        iterator = rows.AsyncRowIterator(Source(batches[0], ZeroDivisionError()))
        with pytest.raises(ZeroDivisionError):
            await collect(iterator)
        await rows.AsyncRowIterator(Source(batches[0])).aclose()
        async for _ in rows.AsyncRowIterator(Source(batches[0])):
            break

    async def main() -> int:
        for _ in range(20):
            await once()
        gc.collect()
        tracemalloc.start()
        await once()
        gc.collect()
        start = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            await once()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - start
        tracemalloc.stop()
        return grown

    assert asyncio.run(main()) < 20_000

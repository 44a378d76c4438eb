"""RowIterator: batch after batch, its end, and what its source may do."""

import gc
import operator
from collections.abc import Callable
from typing import Any

import pytest

from .plans import Thing, ready, source_of
from .sources import Stopping, SyncSource, stopping_batch

rows = pytest.importorskip("django_async_fast._rows")


def test_batches_one_after_the_other_empty_ones_too() -> None:
    source = SyncSource(ready(1, 2), ready(), ready(3))
    iterator = rows.RowIterator(source)
    assert iter(iterator) is iterator
    assert list(iterator) == [1, 2, 3]
    assert list(iterator) == []
    assert source.closed == 0


def test_length_hint_is_what_the_batch_still_has() -> None:
    iterator = rows.RowIterator(SyncSource(ready(1, 2, 3)))
    assert operator.length_hint(iterator) == 0
    next(iterator)
    assert operator.length_hint(iterator) == 2


def test_close() -> None:
    source = SyncSource(ready(1, 2))
    iterator = rows.RowIterator(source)
    next(iterator)
    iterator.close()
    iterator.close()
    assert list(iterator) == []
    assert source.closed == 1
    rows.RowIterator(source_of()).close()


def test_dropping_closes() -> None:
    source = SyncSource(ready(1, 2))
    for _ in rows.RowIterator(source):
        break
    assert source.closed == 1


@pytest.mark.parametrize("wrong", [ZeroDivisionError(), 5, [1, 2]])
def test_a_source_that_fails_ends_the_iteration(wrong: Any) -> None:
    source = SyncSource(ready(1), wrong, ready(2))
    iterator = rows.RowIterator(source)
    assert next(iterator) == 1
    with pytest.raises((ZeroDivisionError, TypeError)):
        next(iterator)
    assert list(iterator) == []
    assert source.closed == 1


@pytest.mark.parametrize("act", [lambda rows: rows.close(), lambda rows: next(rows)])
def test_a_converter_may_close_or_use_its_iterator(act: Callable[[Any], Any]) -> None:
    seen: list[Any] = []

    def meddle(value: Any, *_: Any) -> Any:
        if value == 1:
            seen.append(act(iterator))
        gc.collect()
        return [value]

    plan = rows.TuplePlan(width=2, converters=[(0, (meddle,), None)])
    batch = rows.TupleBatch(plan, [(0, Thing()), (1, Thing()), (2, Thing())])
    iterator = rows.RowIterator(source_of(batch))
    del batch
    assert [row[0] for row in iterator] == [[0], [1]]
    assert seen[0] is None or seen[0][0] == [2]


def test_stop_iteration_does_not_pass_for_the_end() -> None:
    for source in (Stopping(StopIteration), source_of(stopping_batch(StopIteration))):
        iterator = rows.RowIterator(source)
        with pytest.raises(RuntimeError, match="raised StopIteration"):
            next(iterator)
        assert list(iterator) == []


def test_all_items_at_once() -> None:
    batch = rows.TupleBatch(rows.TuplePlan(width=2), [(1, "a"), (2, "b")])
    assert rows.items(batch) == [(1, "a"), (2, "b")]
    assert rows.items(rows.ListBatch([])) == []
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        rows.items(stopping_batch(StopIteration))
    with pytest.raises(ValueError, match="no"):
        rows.items(stopping_batch(ValueError("no")))
    with pytest.raises(TypeError):
        rows.items(None)


def test_a_source_may_close_its_iterator() -> None:
    def source() -> Any:
        iterator.close()
        return ready(1)

    iterator = rows.RowIterator(source)
    assert list(iterator) == []

"""What plans make of rows: tuples, flat values, dicts; what they convert and refuse.

No database: the rows are tuples.
"""

import collections
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .counting import steady
from .plans import Failing, Story, Thing, Writer, build, model_plan, source_of

rows = pytest.importorskip("django_async_fast._rows")


def test_tuples() -> None:
    assert build(rows.TuplePlan(width=2), (1, "a"), (2, None)) == [(1, "a"), (2, None)]


def test_tuples_are_the_drivers_own_when_nothing_changes() -> None:
    row = (1, "a")
    assert build(rows.TuplePlan(width=2), row)[0] is row


def test_a_row_may_have_columns_of_its_own_after_the_plans() -> None:
    assert build(rows.TuplePlan(width=2), (1, 2, 3)) == [(1, 2)]
    assert build(rows.DictPlan(["a"], width=1), (1, 2, 3)) == [{"a": 1}]


def test_flat() -> None:
    assert build(rows.FlatPlan(width=2), (1, 2), [3, 4]) == [1, 3]


def test_named() -> None:
    Pair = collections.namedtuple("Pair", "x y")
    (pair,) = build(rows.NamedPlan(Pair, width=2), [1, 2])
    assert (type(pair), pair.x, pair.y) == (Pair, 1, 2)
    assert hash(pair) == hash((1, 2))


def test_dicts_keep_the_order_and_of_equal_names_the_last_value() -> None:
    plan = rows.DictPlan(["b", "a", "b"], width=4)
    (made,) = build(plan, (1, 2, 3, 4))
    assert list(made.items()) == [("b", 3), ("a", 2)]


def test_dicts_are_separate() -> None:
    one, two = build(rows.DictPlan(["a"], width=1), (1,), (2,))
    one["b"] = 3
    assert two == {"a": 2}


@pytest.mark.parametrize("width", [0, 1, 63, 64, 65, 500])
def test_any_width(width: int) -> None:
    row = list(range(width))
    assert build(rows.TuplePlan(width=width), row) == [tuple(row)]
    plan = rows.DictPlan(map(str, row), width=width)
    assert build(plan, row) == [{str(i): i for i in row}]


def test_lists_are_handed_over_as_they_are() -> None:
    things = [Thing(), Thing()]
    assert list(rows.RowIterator(source_of(rows.ListBatch(things)))) == things


def test_a_list_that_shrinks_meanwhile_is_an_error() -> None:
    items, tuples = [1, 2], [(1,), (2,)]
    batches = rows.ListBatch(items), rows.TupleBatch(rows.FlatPlan(), tuples)
    for batch, given in zip(batches, (items, tuples), strict=True):
        iterator = rows.RowIterator(source_of(batch))
        assert next(iterator) == 1
        given.clear()
        with pytest.raises(IndexError):
            next(iterator)


def test_a_row_may_empty_the_list_it_is_in() -> None:
    class Row:
        def __iter__(self) -> Iterator[Any]:
            values.clear()
            gc.collect()
            return iter((1, 2))

    values: list[Any] = [Row()]
    batch = rows.TupleBatch(rows.FlatPlan(width=2), values)
    assert next(rows.RowIterator(source_of(batch))) == 1


def test_short_rows_are_an_error_that_says_both_numbers() -> None:
    with pytest.raises(ValueError, match="at least 3 columns, got 2"):
        build(rows.DictPlan("abc", width=3), (1, 2))
    with pytest.raises(TypeError):
        build(rows.TuplePlan(width=3), 5)


REFUSED: list[tuple[type[Exception], Callable[[], Any]]] = [
    (ValueError, lambda: rows.TuplePlan(width=-1)),
    (ValueError, lambda: rows.FlatPlan(width=0)),
    (ValueError, lambda: rows.DictPlan("ab", width=1)),
    (ValueError, lambda: rows.TuplePlan(width=1, converters=[(1, (), None)])),
    (ValueError, lambda: model_plan(Writer, columns=[("id", 0), ("name", 5)])),
    (ValueError, lambda: model_plan(Writer, columns=[("id",)])),
    (ValueError, lambda: model_plan(Writer, annotations=[("n", -1)])),
    (ValueError, lambda: model_plan(Writer, annotations=[("n", 9)])),
    (ValueError, lambda: model_plan(Story, relations=[relation()])),
    (ValueError, lambda: rows.Relation(rows.ModelPlan.__new__(rows.ModelPlan))),
    (ValueError, lambda: rows.TupleBatch(rows.TuplePlan.__new__(rows.TuplePlan), [])),
    (TypeError, lambda: model_plan(Writer, state_class=None)),
    (TypeError, lambda: model_plan(Writer, state_class=int)),
    (TypeError, lambda: rows.NamedPlan(list, width=1)),
    (TypeError, lambda: model_plan(Writer, known=[1])),
    (TypeError, lambda: model_plan(Writer, relations=[1])),
    (TypeError, lambda: rows.TuplePlan(width=1, surprise=1)),
    (TypeError, lambda: rows.TuplePlan()),
]


def relation() -> Any:
    return rows.Relation(model_plan(Writer))


@pytest.mark.parametrize(("error", "make"), REFUSED)
def test_plans_check_columns_and_types(error: Any, make: Callable[[], Any]) -> None:
    def refused() -> None:
        with pytest.raises(error):
            make()

    steady(refused, None, True, 1, Writer, Story)


def test_a_plan_is_made_once() -> None:
    plan = rows.TuplePlan(width=1)
    with pytest.raises(RuntimeError):
        plan.__init__(width=2)


def test_converters_run_in_order_with_expression_and_connection_also_for_none() -> None:
    calls = []

    def first(value: Any, expression: Any, connection: Any) -> Any:
        calls.append((value, expression, connection))
        return [value]

    twice = (first, lambda value, *_: (value,))
    converters = [(1, twice, "expr"), (2, [first], "e2")]
    plan = rows.TuplePlan(width=3, converters=converters, connection="conn")
    given = (1, None, 3)
    assert build(plan, given) == [(1, ([None],), [3])]
    assert calls == [(None, "expr", "conn"), (3, "e2", "conn")]
    assert given == (1, None, 3)


def test_a_converter_that_fails_ends_the_iteration() -> None:
    plan = rows.DictPlan("ab", width=2, converters=[(1, (Failing(),), None)])
    iterator = rows.RowIterator(source_of(rows.TupleBatch(plan, [(1, 2), (3, 4)])))
    with pytest.raises(ZeroDivisionError):
        next(iterator)
    assert list(iterator) == []


def test_converters_errors_are_not_translated() -> None:
    failing = [(0, (Failing(),), None)]
    plan = rows.TuplePlan(width=1, converters=failing, translate_error=LookupError)
    with pytest.raises(ZeroDivisionError):
        build(plan, (1,))


def test_loading_errors_are_translated() -> None:
    plan = rows.FlatPlan(width=2, translate_error=lambda error: LookupError(str(error)))
    with pytest.raises(LookupError, match="2 columns, got 1") as caught:
        build(plan, (1,))
    assert isinstance(caught.value.__cause__, ValueError)


def test_translate_error_may_return_the_error_itself() -> None:
    with pytest.raises(ValueError) as caught:
        build(rows.FlatPlan(width=2, translate_error=lambda error: error), (1,))
    assert caught.value.__cause__ is None


def test_build_info() -> None:
    info = rows.build_info()
    assert info["profile"] in ("release", "debug")
    assert info["cython"][0] == "3"


def test_a_part_of_a_batch() -> None:
    things = [object() for _ in range(5)]
    whole = rows.ListBatch(things)
    for first, count, found in ((0, 2, things[:2]), (3, 9, things[3:]), (5, 1, [])):
        part = rows.Part(whole, first, count)
        assert len(part) == len(found)
        assert rows.items(part) == found
        assert list(rows.RowIterator(source_of(part))) == found
    for first, count in ((-1, 1), (6, 1), (0, -1)):
        with pytest.raises(ValueError, match="there are 5"):
            rows.Part(whole, first, count)

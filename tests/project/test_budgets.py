"""What an operation costs is counted, and compared with its budget."""

import json
from typing import Any

import pytest

from bench.budgets import __main__ as budgets
from bench.budgets import python_calls
from bench.contenders import load
from django_async_fast import new_connection, run_sync


def twice() -> None:
    once()
    once()


def once() -> None:
    len("")


def test_functions_are_counted_and_what_is_written_in_c_is_not() -> None:
    with python_calls.counted() as empty:
        pass
    with python_calls.counted() as calls:
        twice()
    assert calls.count - empty.count == 3


async def test_calls_on_the_bridge_are_counted() -> None:
    async with new_connection():
        await run_sync(once)
        with python_calls.counted() as first:
            await run_sync(once)
        with python_calls.counted() as second:
            await run_sync(twice)
    assert second.count - first.count == 2


@pytest.mark.parametrize(
    ("counts", "fails", "said"),
    [
        ({"get": 102.0}, False, "0 over"),
        ({"get": 103.0}, True, "over budget: get: 103 python calls, 100 before"),
        ({"get": 97.0}, False, "under budget: get: 97 python calls, 100 before"),
        ({"get": 100.0, "new": 1.0}, False, "without a budget: new"),
        ({"stream": 139.0}, False, "0 over"),
        ({"stream": 141.0}, True, "over budget: stream"),
    ],
)
def test_what_is_over_its_budget_by_more_than_its_margin_fails(
    capsys: pytest.CaptureFixture[str], counts: dict[str, float], fails: bool, said: str
) -> None:
    known = {"get": 100.0, "stream": 100.0}
    assert budgets.compare("python_calls", "here", known, counts) is fails
    out = capsys.readouterr().out
    assert said in out
    assert ("make bench-budgets" in out) is ("budget: " in out or "without" in out)


def test_without_budgets_nothing_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert not budgets.compare("python_calls", "elsewhere", {}, {"get": 1.0})
    assert "no budgets of python calls for elsewhere" in capsys.readouterr().out


def test_every_operation_has_a_budget() -> None:
    known: dict[str, Any] = json.loads(budgets.BUDGETS.read_text())
    named = {name for names in budgets.CASES.values() for name in names}
    for of_build in known["python_calls"].values():
        assert set(of_build) == named


@pytest.mark.parametrize("contender", budgets.CASES)
def test_every_operation_is_a_contenders_method(contender: str) -> None:
    for name in budgets.CASES[contender]:
        assert hasattr(load(contender), name)

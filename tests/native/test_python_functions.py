"""A function of the core in place of Django's: a Python function, as that was."""

import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any
from unittest import mock

import pytest
from django.http import HttpRequest

from django_async_fast import _native, pages

pytestmark = [
    pytest.mark.core,
    pytest.mark.skipif(sys.version_info < (3, 12), reason="CPython cannot do that"),
]


class Found:
    def answer(self, first: Any, second: Any = 2) -> Any:
        """Say what Python code says."""
        return "python", first, second


def _run(*args: Any) -> Any:
    return "core", *args[1:]


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    found = _native.rows.python_function(Found.answer, _run)
    monkeypatch.setattr(Found, "answer", found)
    return found


@pytest.mark.usefixtures("replaced")
def test_what_is_given_by_place_is_the_cores() -> None:
    for _ in range(1000):  # CPython has specialised the call by then
        assert Found().answer(1) == ("core", 1)
        assert Found.answer(Found(), 1, 3) == ("core", 1, 3)
        assert list(map(Found().answer, [1])) == [("core", 1)]


@pytest.mark.usefixtures("replaced")
def test_anything_else_is_pythons() -> None:
    assert Found().answer(first=1) == ("python", 1, 2)
    assert Found().answer(1, second=3) == ("python", 1, 3)
    with pytest.raises(TypeError, match=r"^Found\.answer\(\) missing 1 required pos"):
        Found().answer()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes from 2 to 3 positional arguments but 4"):
        Found().answer(1, 2, 3)  # type: ignore[call-arg]


def test_it_looks_like_the_other(replaced: Any) -> None:
    before = replaced.__wrapped__
    assert type(replaced) is FunctionType
    assert replaced.__qualname__ == "Found.answer"
    assert replaced.__doc__ == "Say what Python code says."
    assert replaced.__code__ is before.__code__
    assert inspect.signature(replaced) == inspect.signature(before)


@pytest.mark.usefixtures("replaced")
def test_a_mock_of_it_binds_its_instance() -> None:
    found = Found()
    with mock.patch.object(Found, "answer", autospec=True) as answer:
        found.answer(1)
    answer.assert_called_once_with(found, 1)
    mock.create_autospec(Found, instance=True).answer(1)


def test_it_may_be_given_other_code(replaced: Any) -> None:
    def other(self: Any, first: Any, second: Any = 2) -> Any:
        return "other", first, second

    replaced.__code__ = other.__code__
    assert Found().answer(1) == ("other", 1, 2)


def test_what_takes_any_arguments_stays_as_it_is() -> None:
    def any_number(*args: Any) -> None: ...
    def named(*, one: Any) -> None: ...

    for each in (any_number, named, len):
        run = lambda: None  # noqa: E731
        assert _native.rows.python_function(each, run) is run
        assert run.__wrapped__ is each  # type: ignore[attr-defined]


def test_it_is_one_and_runs_what_was_given_last(replaced: Any) -> None:
    again = _native.rows.python_function(replaced.__wrapped__, lambda *args: "last")
    assert again is replaced
    assert Found().answer(1) == "last"


def test_a_seam_has_one_however_often_it_is_asked_for() -> None:
    for _ in range(100):
        kinds = {
            type(found)
            for owner, name, found, _ in pages.seams()
            if (owner, name) == (HttpRequest, "get_host")
        }
        assert kinds == {FunctionType}

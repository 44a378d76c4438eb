"""Errors out of templates: with the context, and the pages, that Django's code gives them."""

import sys
from typing import Any
from unittest import mock

import pytest
from django.template import Context, Engine
from django.template.base import Variable
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

ENGINE = Engine(debug=True)


class Odd:
    @property
    def wrong(self) -> str:
        raise ValueError("wrong")

    @property
    def handled(self) -> str:
        return type(sys.exception()).__name__


def chain(error: BaseException | None) -> list[str]:
    found = []
    while error is not None and len(found) < 10:
        found.append(type(error).__name__)
        error = error.__context__
    return found


def test_an_error_that_is_handled_meanwhile_stays_as_it_is() -> None:
    template = ENGINE.from_string("{{ odd.nothing }}{{ odd.handled }}")
    try:
        raise RuntimeError("mine")
    except RuntimeError as error:
        for _ in range(3):
            assert template.render(Context({"odd": Odd()})) == "TypeError"
        assert chain(error) == ["RuntimeError"]
        assert sys.exception() is error


@pytest.mark.parametrize("source", ["odd.wrong", "odds.0.wrong"])
def test_an_error_has_the_context_that_django_gives_it(source: str) -> None:
    values = {"odd": Odd(), "odds": [Odd()]}
    try:
        raise RuntimeError("mine")
    except RuntimeError:
        with pytest.raises(ValueError, match="wrong") as raised:
            Variable(source).resolve(Context(values))
    assert chain(raised.value) == ["ValueError", "TypeError", "RuntimeError"]
    assert raised.value.__context__ is not None
    assert raised.value.__context__.__traceback__ is not None


def test_the_page_of_an_error_shows_each_of_them() -> None:
    with pytest.raises(ValueError, match="wrong") as raised:
        ENGINE.from_string("a\n{{ odd.wrong }}").render(Context({"odd": Odd()}))
    error: Any = raised.value
    assert error.template_debug["line"] == 2
    request = RequestFactory().get("/")
    reporter = ExceptionReporter(request, type(error), error, error.__traceback__)
    frames = reporter.get_traceback_data()["frames"]
    assert all("filename" in frame for frame in frames)
    assert "wrong" in [frame["function"] for frame in frames]


def test_a_node_may_have_a_method_of_its_own() -> None:
    template = ENGINE.from_string("a{{ b }}")
    text, variable = template.nodelist
    variable.render = lambda context: "own"  # type: ignore[method-assign]
    text.render_annotated = lambda context: "text, "  # type: ignore[method-assign]
    assert template.render(Context({"b": "b"})) == "text, own"


def test_a_logger_that_is_replaced_is_asked_as_by_django() -> None:
    with mock.patch("django.template.base.logger") as logger:
        ENGINE.from_string("{{ odd }}{{ nothing }}").render(Context({"odd": "1"}))
    assert [name for name, *_ in logger.mock_calls] == ["debug"]

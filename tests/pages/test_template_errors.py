"""Errors out of templates: with the context, and the pages, that Django's code gives them."""

import asyncio
import sys
from typing import Any
from unittest import mock

import pytest
from django.template import Context, Engine
from django.template.base import FilterExpression, Parser, Variable
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject
from django.views.debug import ExceptionReporter

from django_async_fast import new_connection, run_sync
from tests.testapp.models import Tag

ENGINE = Engine()


class Odd:
    @property
    def wrong(self) -> str:
        raise ValueError("wrong")

    @property
    def handled(self) -> str:
        return type(sys.exception()).__name__

    @property
    def callers(self) -> list[str]:
        frame, found = sys._getframe(1), []
        while frame.f_code.co_qualname != "Template.render":
            found.append(frame.f_code.co_qualname)
            assert frame.f_back is not None
            frame = frame.f_back
        return found


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
    context = Context({"odd": Odd(), "odds": [Odd()]})
    try:
        raise RuntimeError("mine")
    except RuntimeError:
        with (
            context.bind_template(ENGINE.from_string("")),
            pytest.raises(ValueError, match="wrong") as raised,
        ):
            Variable(source).resolve(context)
    assert chain(raised.value) == ["ValueError", "TypeError", "RuntimeError"]
    assert raised.value.__context__ is not None
    assert raised.value.__context__.__traceback__ is not None


@pytest.mark.parametrize("kind", [KeyError, TypeError])
def test_a_lazy_object_that_fails_is_asked_as_often(kind: type[Exception]) -> None:
    asked = mock.Mock(side_effect=kind)
    with pytest.raises(kind) as raised:
        ENGINE.from_string("{{ lazy.a }}").render(
            Context({"lazy": SimpleLazyObject(asked)})
        )
    # The item; its class, to see whether it is a context; that again, if it may be none.
    assert (
        len(chain(raised.value)) == asked.call_count == (2 if kind is KeyError else 3)
    )


def test_a_context_without_a_template_has_no_text_for_what_lacks() -> None:
    for source in ("nothing", "odd.nothing"):
        with pytest.raises(AttributeError, match="engine") as raised:
            FilterExpression(source, Parser([])).resolve(Context({"odd": 1}))
        assert chain(raised.value)[:2] == ["AttributeError", "VariableDoesNotExist"]


@pytest.mark.parametrize("debug", [False, True])
def test_the_page_of_an_error_shows_each_of_them(debug: bool) -> None:
    template = Engine(debug=debug).from_string("a\n{{ odd.wrong }}")
    with pytest.raises(ValueError, match="wrong") as raised:
        template.render(Context({"odd": Odd()}))
    error: Any = raised.value
    assert getattr(error, "template_debug", {}).get("line", 2) == 2
    assert hasattr(error, "template_debug") == debug
    request = RequestFactory().get("/")
    reporter = ExceptionReporter(request, type(error), error, error.__traceback__)
    frames = reporter.get_traceback_data()["frames"]
    assert all("filename" in frame for frame in frames)
    assert "wrong" in [frame["function"] for frame in frames]


def test_in_debug_mode_the_frames_are_djangos() -> None:
    # The debug toolbar looks for the node in them, whose template it shows.
    found = Odd()
    source = "{% for x in 'a' %}{% if odd.callers %}{{ odd.callers|safe }}{% endif %}{% endfor %}"
    text = Engine(debug=True).from_string(source).render(Context({"odd": found}))
    for name in ("ForNode", "NodeList", "VariableNode"):
        assert f"{name}.render" in text
    assert "Variable._resolve_lookup" in text


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


class Waiting:
    """Waits for the database where a template asks for an attribute."""

    def __init__(self, number: int) -> None:
        self.number = number

    @property
    def handled(self) -> list[str]:
        found = []
        for _ in range(3):
            assert Tag.objects.filter(name=f"{self.number}").count() == 0
            found += chain(sys.exception())
        return found

    @property
    def wrong(self) -> None:
        assert self.handled
        raise LookupError(f"{self.number}")


async def test_tasks_that_wait_in_a_template_keep_what_they_handle() -> None:
    template = ENGINE.from_string(
        "{% for x in 'ab' %}{{ odd.handled|safe }}{% endfor %}{{ odd.wrong }}"
    )

    def render(number: int) -> None:
        try:
            raise ValueError(f"{number}")
        except ValueError as error:
            with pytest.raises(LookupError, match=f"^{number}$") as raised:
                template.render(Context({"odd": Waiting(number)}))
            assert chain(raised.value) == ["LookupError", "TypeError", "ValueError"]
            assert sys.exception() is error
            assert error.__context__ is None

    async def task(number: int) -> None:
        async with new_connection():
            await run_sync(render, number)

    await asyncio.gather(*(task(number) for number in range(8)))

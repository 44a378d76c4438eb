"""What the core does of templates, and what it leaves to Django."""

import logging
import sys
from contextlib import ExitStack
from types import FrameType
from typing import Any
from unittest import mock

import pytest
from asgiref import local
from django.template import Context, Engine, RequestContext, base
from django.template.base import (
    FilterExpression,
    Node,
    NodeList,
    Parser,
    TextNode,
    Variable,
    VariableDoesNotExist,
    VariableNode,
)
from django.template.context import ContextDict
from django.template.defaulttags import ForNode
from django.test import override_settings
from django.utils import formats, translation
from django.utils.safestring import SafeString, mark_safe

from tests.pages.test_same_templates import stock
from tests.support.noted import noted

ENGINE = Engine()


def rendered(source: str, engine: Engine = ENGINE, **values: Any) -> str:
    return engine.from_string(source).render(Context(values))


class Book:
    title = "<Emma>"
    pages = 1234

    def __init__(self) -> None:
        self.asked = 0

    @property
    def shelf(self) -> str:
        self.asked += 1
        return "A"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("django.template.base.render_value_in_context", "x"),
        ("django.template.base.localize", "x"),
        ("django.template.base.template_localtime", "x"),
        ("django.template.base.conditional_escape", "x"),
        ("django.utils.html.escape", "x"),
        ("html.escape", "x"),
        ("django.utils.formats.number_format", 5),
        ("django.utils.formats.get_language", 5),
        ("django.utils.formats.get_format", 5),
        ("django.utils.numberformat.format", 5),
        ("django.utils.numberformat.mark_safe", 5),
        ("django.utils.translation.trans_real.get_language", 5),
    ],
)
def test_a_function_that_is_replaced_is_asked(name: str, text: Any) -> None:
    owner, _, attribute = name.rpartition(".")
    assert rendered("{{ a }}", a=text) == str(text)
    translation.get_language()
    kept = vars(translation._trans)
    with noted(sys.modules[owner], attribute) as asked:
        if "trans_real" in owner:
            replaced = {"get_language": translation.trans_real.get_language}
            with mock.patch.dict(kept, replaced):
                assert rendered("{{ a }}", a=text) == str(text)
        else:
            assert rendered("{{ a }}", a=text) == str(text)
    assert asked
    CALLED.clear()
    with mock.patch(name, replacement), mock.patch.dict(kept):
        if "trans_real" in owner:
            kept["get_language"] = replacement
        rendered("{{ a }}", a=text)
    assert CALLED


CALLED: list[Any] = []


def replacement(*args: Any, **kwargs: Any) -> Any:
    """A function of a module, as Django's own are."""
    CALLED.append(args)
    return mark_safe("replaced")


def test_a_class_that_is_replaced_is_asked() -> None:
    class Own(VariableDoesNotExist):
        made = 0

        def __init__(self, *args: Any) -> None:
            Own.made += 1
            super().__init__(*args)

    with mock.patch.object(base, "VariableDoesNotExist", Own):
        assert rendered("{{ a }}") == ""
    assert Own.made == 1
    with noted(VariableDoesNotExist, "__init__") as made:
        assert rendered("{{ a }}") == ""
    assert len(made) == 1
    with mock.patch.object(base, "SafeString", str.upper):
        assert rendered("a{{ b }}", b="b") == "AB"


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Context, "__getitem__"),
        (ContextDict, "__contains__"),
        (Variable, "_resolve_lookup"),
        (Variable, "resolve"),
        (FilterExpression, "resolve"),
        (SafeString, "__html__"),
    ],
)
def test_a_method_that_is_replaced_is_asked(owner: Any, name: str) -> None:
    context = Context({"a": SafeString("x")})
    with noted(owner, name) as asked, context.push(b="y"):
        assert ENGINE.from_string("{{ a }}").render(context) == "x"
    assert asked


def test_subclasses_do_as_they_say() -> None:
    class Own(Context):
        def __getitem__(self, key: str) -> Any:
            return f"own {key}"

    class OwnVariable(Variable):
        def resolve(self, context: Any) -> Any:
            return f"own {super().resolve(context)}"

    class OwnNode(VariableNode):
        def render(self, context: Any) -> str:
            return f"own {super().render(context)}"

    template = ENGINE.from_string("{{ a }}")
    assert template.render(Own({"a": "b"})) == "own a"
    expression = FilterExpression("a", Parser([]))
    expression.var = OwnVariable("a")
    assert expression.resolve(Context({"a": 1})) == "own 1"
    assert OwnNode(expression).render(Context({"a": 1})) == "own own 1"
    assert RequestContext(None, {"a": 1})["a"] == 1


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Node, "render_annotated"),
        (TextNode, "render_annotated"),
        (VariableNode, "render"),
        (ForNode, "render"),
        (NodeList, "render"),
        (Context, "push"),
        (Context, "__setitem__"),
    ],
)
def test_what_replaces_a_nodes_method_is_asked(owner: Any, name: str) -> None:
    template = ENGINE.from_string("{% for a in b %}{{ a }},{% endfor %}")
    with noted(owner, name) as asked:
        assert template.render(Context({"b": "xy"})) == "x,y,"
    assert asked


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (VariableNode, "render"),
        (TextNode, "render_annotated"),
        (FilterExpression, "resolve"),
        (base, "conditional_escape"),
    ],
)
@pytest.mark.parametrize(
    "source",
    [
        "{{ replace }}text{{ b }}",
        "{% for a in b %}{{ replace }}text{{ b }}{% endfor %}",
    ],
)
@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="CPython tells of no changes yet"
)
def test_what_is_replaced_meanwhile_is_asked(
    owner: Any, name: str, source: str
) -> None:
    with ExitStack() as replaced:
        asked = []

        def replace() -> str:
            asked.append(replaced.enter_context(noted(owner, name)))
            return ""

        assert rendered(source, b="b", replace=replace) == "textb"
    assert asked[0]


def test_what_traces_from_now_on_is_shown_the_nodes() -> None:
    found = []

    def trace(frame: FrameType, *_: Any) -> None:
        found.append(frame.f_code.co_qualname)

    before = sys.gettrace()
    try:
        assert rendered("{{ a }}{{ b }}", a=lambda: sys.settrace(trace), b=1) == "None1"
    finally:
        sys.settrace(before)
    assert "VariableNode.render" in found


def test_nodes_of_other_classes_are_rendered_as_they_say() -> None:
    class OwnText(TextNode):
        def render_annotated(self, context: Any) -> str:
            return f"own {self.s}"

    class OwnLoop(ForNode):
        def render(self, context: Any) -> str:
            return f"own {super().render(context)}"

    class OwnList(NodeList):
        def __iter__(self) -> Any:
            return reversed(self[:])

    expression = FilterExpression("b", Parser([]))
    nodes = OwnList([VariableNode(expression), OwnText("text")])
    context = Context({"b": "xy"})
    assert nodes.render(context) == "own textxy"
    loop = OwnLoop(["a"], expression, False, nodes)
    assert loop.render(context) == "own own textxyown textxy"


def test_a_local_that_is_patched_is_asked_for_the_language() -> None:
    rendered("{{ a }}", a=1)
    with noted(local._DefaultLocal, "__getattr__") as asked:
        rendered("{{ a }}", a=1)
    assert len(asked) == 1


@pytest.mark.parametrize("kind", [Variable, FilterExpression, Node, Context])
def test_what_asks_for_attributes_is_asked_as_often(kind: Any) -> None:
    template = ENGINE.from_string("{% for a in b %}{{ a }}{{ c.d }}{% endfor %}")
    before, asked = kind.__getattribute__, list[str]()

    def ask(instance: Any, name: str) -> Any:
        asked.append(name)
        return before(instance, name)

    context = Context({"b": "xy", "c": {"d": 1}})
    with mock.patch.object(kind, "__getattribute__", ask, create=True):
        template.render(context)
        ours = list(asked)
        asked.clear()
        with stock():
            template.render(context)
    assert ours == asked


def test_numbers_are_as_settings_and_the_language_say() -> None:
    assert rendered("{{ a }}", a=1234) == "1234"
    with override_settings(USE_THOUSAND_SEPARATOR=True):
        assert rendered("{{ a }}", a=1234) == "1,234"
        with translation.override("de"):
            assert rendered("{{ a }}", a=1234) == "1.234"
        unlocalized = Context({"a": 1234}, use_l10n=False)
        assert ENGINE.from_string("{{ a }}").render(unlocalized) == "1234"
    for language in ("de", None):
        with translation.override(language):
            assert rendered("{{ a }}", a=1234) == "1234"


def test_a_translation_may_have_a_method_of_its_own() -> None:
    with translation.override("de"):
        rendered("{{ a }}", a=1234)
        german = translation.trans_real.translation("de")
        with mock.patch.object(german, "to_language", return_value="fr") as asked:
            assert rendered("{{ a }}", a=1234) == "1234"
        assert asked.called


def test_formats_are_looked_for_as_by_django() -> None:
    formats.reset_format_cache()
    with translation.override("fr"):
        for _ in range(2):
            assert rendered("{{ a }}", a=5) == "5"
    assert ("THOUSAND_SEPARATOR", "fr") in formats._format_cache


def test_a_property_is_asked_once_and_only_where_django_does() -> None:
    book = Book()
    assert rendered("{{ b.shelf }}{{ b.title|lower }}{{ b.shelf|lower }}", b=book)
    assert book.asked == 2


def test_what_traces_is_shown_the_nodes() -> None:
    found = []

    def trace(frame: FrameType, *_: Any) -> None:
        found.append(frame.f_code.co_qualname)

    template, context = ENGINE.from_string("{{ a }}"), Context({"a": 1})
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        template.render(context)
    finally:
        sys.settrace(before)
    assert {"VariableNode.render", "Variable._resolve_lookup"} <= set(found)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there is no sys.monitoring")
def test_a_debugger_is_shown_the_nodes() -> None:
    monitoring, found = sys.monitoring, []
    tool = monitoring.DEBUGGER_ID
    template, context = ENGINE.from_string("{{ a }}"), Context({"a": 1})
    monitoring.use_tool_id(tool, "tests")
    try:
        started = monitoring.events.PY_START
        monitoring.register_callback(
            tool, started, lambda code, _: found.append(code.co_qualname)
        )
        monitoring.set_events(tool, started)
        template.render(context)
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)
    assert "VariableNode.render" in found


def test_failed_lookups_are_logged_by_django(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "django.template"):
        assert rendered("{{ a.b }}{{ c }}", a=1) == ""
    functions = [(each.funcName, each.args) for each in caplog.records]
    assert functions == [
        ("_resolve_lookup", ("b", "unknown")),
        ("_resolve_lookup", ("c", "unknown")),
    ]
    for level in (logging.INFO, logging.DEBUG):
        with (
            caplog.at_level(level, "django.template"),
            mock.patch("django.template.base.logger.debug") as logged,
        ):
            rendered("{{ c }}")
            assert logged.call_count == 1
    with mock.patch.object(base.logger, "isEnabledFor") as enabled:
        enabled.return_value = False
        rendered("{{ c }}")
    assert enabled.call_count == 1
    with noted(logging.Logger, "debug") as logged_by:
        rendered("{{ c }}")
    assert len(logged_by) == 1


def test_what_lacks_has_the_engines_text() -> None:
    engine = Engine(string_if_invalid="no %s")
    assert rendered("{{ a.b }}{{ c|lower }}", engine, a=1) == "no a.bno c"
    assert rendered("{{ template }}{{ autoescape }}{{ get }}", engine) == (
        "no templateno autoescapeno get"
    )


def test_a_context_may_have_any_mapping() -> None:
    class Rooms(dict[str, str]):
        def __missing__(self, key: str) -> str:
            raise RuntimeError(key)

        def __contains__(self, key: object) -> bool:
            return key == "a"

    context = Context(Rooms(b="hidden"))
    assert "b" not in context
    assert context.get("b", "other") == "other"
    with pytest.raises(RuntimeError, match="a"):
        ENGINE.from_string("{{ a }}").render(context)
    assert ENGINE.from_string("{{ b }}").render(context) == ""


def test_contexts_say_what_they_lack() -> None:
    context = Context({"a": 1})
    for key in ("b", 1):
        assert key not in context
        assert context.get(key) is None
        with pytest.raises(KeyError) as caught:
            context[key]
        assert caught.value.args == (key,)
    context["a"] = 2
    assert context["a"] == context.dicts[-1]["a"] == 2
    with pytest.raises(TypeError, match="unhashable"):
        context[[]]


class Incomparable:
    """A key that is asked whether it is `a`."""

    def __hash__(self) -> int:
        return hash("a")

    def __eq__(self, other: object) -> bool:
        raise ValueError("incomparable")


def test_a_key_may_refuse_to_be_compared() -> None:
    context = Context({Incomparable(): 1, "b": {Incomparable(): 1}})
    assert ENGINE.from_string("{{ a }}{{ b.a }}{{ b.a.c }}").render(context) == ""
    for ask in (context.__getitem__, context.__contains__, context.get):
        with pytest.raises(ValueError, match="incomparable"):
            ask("a")


@pytest.mark.parametrize(
    ("lookups", "text"),
    [(["a", "b"], "item"), (("a", 0), "first"), (("a", None), ""), ((), "[{")],
)
def test_lookups_may_be_set_by_hand(lookups: Any, text: str) -> None:
    template = ENGINE.from_string("{{ a.c|safe }}")
    (node,) = template.nodelist
    assert isinstance(node, VariableNode)
    node.filter_expression.var.lookups = lookups
    values = {"b": "item", 0: "first"}
    assert template.render(Context({"a": values})).startswith(text)
    assert template.render(Context({"a": ["first"]})) in ("", "first") or not lookups


def test_a_subclass_is_asked_for_its_dicts_once() -> None:
    class Own(Context):
        asked = 0

        def __getattribute__(self, name: str) -> Any:
            Own.asked += name == "dicts"
            return super().__getattribute__(name)

    context = Own({"a": 1})
    for ask in (context.__getitem__, context.__contains__, context.get):
        Own.asked = 0
        ask("a")
        assert Own.asked == 1
    context["a"] = 2
    assert Own.asked == 2

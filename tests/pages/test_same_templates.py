"""Templates of all kinds, with variables of all kinds: as by Django's own methods."""

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from types import NoneType
from typing import Any
from unittest import mock

from django.template import Context, Engine
from django.template.base import FilterExpression, NodeList, Variable, VariableNode
from django.template.context import BaseContext
from django.template.defaulttags import ForNode
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

METHODS = (
    (ForNode, "render"),
    (NodeList, "render"),
    (VariableNode, "render"),
    (FilterExpression, "resolve"),
    (Variable, "_resolve_lookup"),
    (BaseContext, "__getitem__"),
    (BaseContext, "__contains__"),
    (BaseContext, "__setitem__"),
    (BaseContext, "get"),
)


@contextmanager
def stock() -> Iterator[None]:
    """Have Django's own methods in place."""
    with ExitStack() as replaced:
        for owner, name in METHODS:
            before = vars(owner)[name].__wrapped__
            replaced.enter_context(mock.patch.object(owner, name, before))
        yield


class Silent(Exception):
    silent_variable_failure = True


ERRORS: list[Callable[[], BaseException]] = [
    lambda: AttributeError("a"),
    lambda: TypeError("t"),
    lambda: KeyError("k"),
    lambda: ValueError("v"),
    lambda: IndexError("i"),
    lambda: Silent("s"),
    lambda: RuntimeError("r"),
    lambda: UnicodeDecodeError("utf-8", b"x", 0, 1, "u"),
]
Asked = list[tuple[str, Any, list[Any]]]


class Noting:
    """Notes what is asked of it, and has what it was made with."""

    def __init__(self, asked: Asked, values: dict[str, Any], error: int | None) -> None:
        self.__dict__.update(values)
        self._asked = asked
        self._error = error

    def _ask(self, what: str, name: Any) -> Any:
        self._asked.append((what, name, _errors(sys.exception())))
        if self._error is not None:
            error = ERRORS[self._error]()
            raise error
        return name

    def __repr__(self) -> str:
        return type(self).__name__

    @property
    def b(self) -> Any:
        return self._ask("property", "b")

    def method(self) -> Any:
        return self._ask("method", "<m>")

    def needy(self, value: Any) -> Any:
        return self._ask("needy", value)

    def harmful(self) -> Any:
        return self._ask("harmful", "")

    harmful.alters_data = True  # type: ignore[attr-defined]


class WithItems(Noting):
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int) and key > 2:
            raise IndexError  # or a loop would never end
        return self._ask("item", key)


class WithAttributes(Noting):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._ask("attribute", name)


class Called(Noting):
    def __call__(self) -> Any:
        return self._ask("call", 'called "it"')


class NotCalled(Called):
    do_not_call_in_templates = True


class Proxying(WithItems):
    """Asks for what it stands for to say its class, as lazy objects do."""

    @property
    def __class__(self) -> Any:
        self._ask("class", None)
        return Noting


class AskedMeta(type):
    def __getattr__(cls, name: str) -> Any:
        return vars(cls)["asked"]._ask("of the class", name)


def of_asked_meta(asked: Asked, values: dict[str, Any], error: int | None) -> Any:
    """An instance of a class that notes what it is asked."""
    names = {"asked": Noting(asked, {}, error), "__repr__": lambda self: "<asked>"}
    return AskedMeta("Asked", (), {**names, **values})()


class Meta(type):
    def __getitem__(cls, key: Any) -> Any:
        return f"meta {key}"


class OfMeta(metaclass=Meta):
    c = "c"

    def __repr__(self) -> str:
        return "<of meta>"


KINDS: list[Callable[..., Any]] = [
    *(Noting, WithItems, WithAttributes, Called, NotCalled, Proxying, of_asked_meta)
]
LEAVES = [
    *("", "plain", "<a href='x'>\"&", "é☃𝄞", "a'b"),
    *(mark_safe("<b>safe</b>"), gettext_lazy("Yes"), b"<bytes>"),
    *(0, 5, -12, 1234567, 10**30, True, False, None, 1.5, 1e300, Decimal("1234.50")),
    *(datetime(2024, 1, 2, 3, 4, tzinfo=UTC), datetime(2024, 1, 2).date()),
    *(OfMeta, OfMeta(), len, dict, int, object(), Context({"b": 1}), {1, 2}, range(3)),
    # Made for each page: what they print tells whether they have been asked.
    *(partial(SimpleLazyObject, each) for each in (partial(dict, a="lazy"), NoneType)),
]
NAMES = ["a", "b", "c", "0", "1", "items", "count", "method", "needy", "harmful"]
Spec = tuple[Any, ...]
specs: st.SearchStrategy[Spec] = st.recursive(
    st.tuples(st.just("leaf"), st.integers(0, len(LEAVES) - 1)),
    lambda inner: (
        st.tuples(
            st.just("object"),
            st.integers(0, len(KINDS) - 1),
            st.dictionaries(st.sampled_from("ac"), inner, max_size=2),
            st.none() | st.integers(0, len(ERRORS) - 1),
        )
        | st.tuples(
            st.sampled_from(["dict", "ordered", "default"]),
            st.dictionaries(
                st.sampled_from(["a", "b", "0", "items"]), inner, max_size=3
            ),
        )
        | st.tuples(st.sampled_from(["list", "tuple"]), st.lists(inner, max_size=2))
    ),
    max_leaves=6,
)


def _made(spec: Spec, asked: Asked) -> Any:
    kind, *rest = spec
    if kind == "leaf":
        leaf = LEAVES[rest[0]]
        return leaf() if isinstance(leaf, partial) else leaf
    if kind == "object":
        values = {name: _made(each, asked) for name, each in rest[1].items()}
        return KINDS[rest[0]](asked, values, rest[2])
    if kind in ("list", "tuple"):
        items = [_made(each, asked) for each in rest[0]]
        return items if kind == "list" else tuple(items)
    values = {name: _made(each, asked) for name, each in rest[0].items()}
    if kind == "ordered":
        return OrderedDict(values)
    return defaultdict(str, values) if kind == "default" else values


paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(
    lambda names: ".".join([names[0] if names[0].isalpha() else "a", *names[1:]])
)
FILTERS = [
    *("", "", "", '|default:"<x>"', "|title", "|upper|safe", "|default:b", "|add:1"),
    *("|default_if_none:a.b", "|length", '|date:"H:i"', "|join:c", "|escape"),
]
expressions = st.tuples(paths, st.sampled_from(FILTERS)).map("".join)
templates = st.tuples(
    st.sampled_from(
        [
            *("{{ %s }}", "{{ %s }}", "{%% if %s %%}yes{%% endif %%}"),
            "{%% for x in %s %%}{{ x }}{{ x.a }}{{ forloop }},{%% empty %%}-{%% endfor %%}",
            "{%% for x in %s reversed %%}{{ x.b }}{{ forloop.last }}{%% endfor %%}{{ x }}",
            "{%% for x, y in %s %%}{{ y }}{{ x.method }},{%% endfor %%}",
            "{%% for x in %s %%}{%% for a in x %%}{{ forloop }}{%% endfor %%}{%% endfor %%}",
            "{%% firstof %s %%}",
            "{%% with b=%s %%}{{ b }}{{ b.a }}{%% endwith %%}",
        ]
    ),
    expressions,
).map(lambda each: each[0] % each[1])


def _errors(error: BaseException | None) -> list[Any]:
    found = []
    while error is not None:
        found.append((type(error), error.args and str(error.args)))
        error = error.__context__
    return found


def _rendered(template: Any, spec: dict[str, Spec], options: dict[str, Any]) -> Any:
    asked: Asked = []
    values = {name: _made(each, asked) for name, each in spec.items()}
    context = Context(values, **options)
    try:
        text = template.render(context)
    except Exception as error:
        where = [
            getattr(error, each, 0) for each in ("_culprit_node", "template_debug")
        ]
        return _errors(error), where, asked, len(context.dicts)
    return text, type(text), asked, len(context.dicts)


@given(
    templates,
    st.dictionaries(st.sampled_from("abc"), specs, max_size=3),
    st.booleans(),
    st.sampled_from([None, True, False]),
    st.sampled_from(["", "INVALID", "lacks %s"]),
    st.booleans(),
)
def test_it_is_the_same_page(
    source: str,
    spec: dict[str, Spec],
    autoescape: bool,
    use_l10n: bool | None,
    invalid: str,
    debug: bool,
) -> None:
    engine = Engine(string_if_invalid=invalid, debug=debug)
    template = engine.from_string(source)
    options = {"autoescape": autoescape, "use_l10n": use_l10n}
    ours = _rendered(template, spec, options)
    with stock():
        stocks = _rendered(template, spec, options)
    assert ours == stocks

"""Which view a path is for: what the core finds is what Django's own code finds."""

import re
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import converters, include, path, re_path, resolvers
from django.urls.resolvers import (
    RegexPattern,
    ResolverMatch,
    RoutePattern,
    URLPattern,
    URLResolver,
)
from django.utils import translation
from django.utils.functional import lazystr
from django.utils.safestring import SafeString
from hypothesis import given
from hypothesis import strategies as st

from tests.support.noted import noted

from .url_trees import ASKED, PATHS, TREES, registered, root, view


@pytest.fixture(autouse=True, scope="module")
def _converters() -> Iterator[None]:
    with registered():
        yield


def _answer(resolver: URLResolver, asked: str) -> Any:
    """Return what is made of the path, and who was asked."""
    ASKED.clear()
    try:
        match = resolver.resolve(asked)
    except Exception as exc:
        return type(exc), exc.args, exc.__cause__, [*ASKED]
    kinds = [type(each) for each in vars(match).values()]
    return type(match), [*vars(match).items()], kinds, repr(match), [*ASKED]


def _stock() -> Any:
    method: Any = URLResolver.resolve
    return mock.patch.object(URLResolver, "resolve", method.__wrapped__)


@given(TREES, PATHS, st.sampled_from(["de", "en"]))
def test_a_path_is_for_what_django_says(tree: Any, asked: str, language: str) -> None:
    resolver = root(tree)
    with translation.override(language):
        ours = _answer(resolver, asked)
        with _stock():
            stock = _answer(resolver, asked)
        assert ours == stock
        assert _answer(resolver, asked) == stock


def _site() -> tuple[URLResolver, URLPattern, URLResolver]:
    pattern = path("<int:x>/", view, {"y": 1}, "one")
    inner = path("a/", include(([re_path("^b/$", view, name="two"), pattern], "app")))
    return root([path("c/", view), inner]), pattern, inner


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (URLPattern, "resolve"),
        (URLResolver, "resolve"),
        (URLResolver, "_join_route"),
        (URLResolver, "_extend_tried"),
        (RoutePattern, "match"),
        (RoutePattern, "__str__"),
        (RegexPattern, "match"),
        (ResolverMatch, "__init__"),
        (converters.IntConverter, "to_python"),
        (resolvers, "ResolverMatch"),
    ],
)
def test_a_tool_that_asks_is_asked(owner: Any, name: str) -> None:
    resolver, *_ = _site()
    resolver.resolve("/a/3/")
    static = isinstance(vars(owner)[name], staticmethod)

    def calls() -> int:
        before = getattr(owner, name)
        called: list[Any] = []

        def noting(*args: Any, **kwargs: Any) -> Any:
            called.append(args)
            return before(*args, **kwargs)

        with mock.patch.object(owner, name, staticmethod(noting) if static else noting):
            resolver.resolve("/a/3/")
        return len(called)

    found = calls()
    with _stock():
        resolver.resolve("/a/3/")
        if (owner, name) != (URLResolver, "resolve"):
            assert found == calls()
    assert found


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (lambda resolver, pattern, inner: pattern, "resolve"),
        (lambda resolver, pattern, inner: pattern.pattern, "match"),
        (lambda resolver, pattern, inner: inner.pattern, "match"),
        (lambda resolver, pattern, inner: inner, "resolve"),
        (lambda resolver, pattern, inner: resolver, "_extend_tried"),
        (lambda resolver, pattern, inner: inner, "_join_route"),
        (lambda resolver, pattern, inner: inner.url_patterns[0].pattern, "match"),
        (lambda *found: found[1].pattern.converters["x"], "to_python"),
    ],
)
def test_a_method_of_an_instance_is_called(of: Callable[..., Any], name: str) -> None:
    found = _site()
    with noted(of(*found), name) as called:
        found[0].resolve("/a/3/")
    assert called


@pytest.mark.parametrize(
    "change",
    [
        lambda resolver, pattern, inner: inner.url_patterns.insert(
            0, path("3/", print)
        ),
        lambda resolver, pattern, inner: setattr(pattern, "callback", print),
        lambda resolver, pattern, inner: setattr(pattern, "default_args", {"z": 1}),
        lambda resolver, pattern, inner: setattr(pattern.pattern, "name", "another"),
        lambda resolver, pattern, inner: setattr(inner, "default_kwargs", {"z": 1}),
        lambda resolver, pattern, inner: setattr(inner, "namespace", "another"),
        lambda resolver, pattern, inner: setattr(inner, "url_patterns", []),
        lambda resolver, pattern, inner: setattr(inner.pattern, "_route", "b/"),
        lambda resolver, pattern, inner: setattr(inner.pattern, "_is_endpoint", True),
        lambda resolver, pattern, inner: setattr(
            pattern.pattern, "regex", re.compile("(?P<x>[a-z])|3")
        ),
        lambda resolver, pattern, inner: setattr(pattern.pattern, "converters", {}),
        lambda resolver, pattern, inner: setattr(
            pattern, "__dict__", {**vars(pattern), "callback": print}
        ),
        lambda resolver, pattern, inner: setattr(pattern.pattern, "name", 3),
    ],
)
def test_what_is_changed_is_seen(change: Callable[..., Any]) -> None:
    resolver, pattern, inner = _site()
    resolver.resolve("/a/3/")
    change(resolver, pattern, inner)
    ours = _answer(resolver, "/a/3/")
    with _stock():
        assert ours == _answer(resolver, "/a/3/")


def test_a_match_is_the_callers() -> None:
    resolver, pattern, _ = _site()
    match = resolver.resolve("/a/3/")
    for each in (match.kwargs, match.captured_kwargs, match.extra_kwargs):
        each["more"] = 1
    match.tried.clear()
    assert resolver.resolve("/a/3/").kwargs == {"x": 3, "y": 1}
    assert pattern.default_args == {"y": 1}


def test_a_path_may_be_another_text() -> None:
    resolver, *_ = _site()
    for asked in (SafeString("/a/3/"), lazystr("/a/3/")):
        ours = _answer(resolver, asked)
        with _stock():
            assert ours == _answer(resolver, asked)


def test_patterns_that_include_themselves_end() -> None:
    patterns: list[Any] = []
    patterns.append(path("", include(patterns)))
    with pytest.raises(RecursionError):
        root(patterns).resolve("/a/")


def test_what_does_not_compile_is_told() -> None:
    resolver = root([re_path("(", view)])
    with pytest.raises(ImproperlyConfigured, match="not a valid regular expression"):
        resolver.resolve("/a/")


class Elsewhere(converters.StringConverter):
    """Asks whether there is another page of this name: there is none."""

    def to_python(self, value: str) -> str:
        raise resolvers.Resolver404({"tried": [["another"]], "path": value})


def test_a_converter_may_find_that_there_is_no_page() -> None:
    with mock.patch.dict(converters.REGISTERED_CONVERTERS, elsewhere=Elsewhere()):
        converters.get_converters.cache_clear()
        first, second = path("<elsewhere:x>", view), path("abc", view)
    tried = root([first, second]).resolve("/abc").tried
    assert tried == [[first, "another"], [second]]
    nested = root([path("a/", include([first])), path("a/abc", view)])
    assert nested.resolve("/a/abc").route == "a/abc"


class Answer:
    """What a pattern of somebody's own returns: it tells what it is asked."""

    def __init__(self, match: Any, missing: str) -> None:
        self.match, self.missing = match, missing

    def __getattr__(self, name: str) -> Any:
        ASKED.append(name)
        if name == self.missing:
            raise resolvers.Resolver404({"path": name})
        return getattr(self.match, name)


class Answering(URLPattern):
    missing = ""

    def resolve(self, path: str) -> Any:
        found = super().resolve(path)
        return found and Answer(found, self.missing)


@pytest.mark.parametrize("missing", ["", "kwargs"])
def test_a_match_of_another_class_is_asked_as_often(missing: str) -> None:
    pattern = Answering(RegexPattern("^(a)$"), view)
    pattern.missing = missing
    resolver = root([path("b/", include([pattern])), path("b/a", view)])
    ours = _answer(resolver, "/b/a")
    assert missing or ours[-1].count("args") == 2
    with _stock():
        assert ours == _answer(resolver, "/b/a")


class Listing(RoutePattern):
    def match(self, path: str) -> Any:
        return path[2:], (), [("x", 1)]


def test_what_a_pattern_of_ones_own_captures_has_to_be_a_mapping() -> None:
    resolver = root([URLResolver(Listing("a/"), [path("b/", view)])])
    ours = _answer(resolver, "/a/b/")
    assert ours[0] is TypeError
    with _stock():
        assert ours == _answer(resolver, "/a/b/")


@pytest.mark.parametrize("kind", [RoutePattern, RegexPattern])
def test_a_regular_expression_is_made_as_often(kind: Any) -> None:
    descriptor = type(vars(kind)["regex"])
    made: list[Any] = []

    def make(self: Any, instance: Any, owner: Any = None) -> Any:
        made.append(instance)
        if instance is None:
            return self
        return re.compile("^/" if str(instance) == "/" else "^(?P<x>a)$")

    def count() -> int:
        pattern = path("<x>", view) if kind is RoutePattern else re_path("", view)
        made.clear()
        URLResolver(RoutePattern("/"), [pattern]).resolve("/a")
        return len(made)

    with mock.patch.object(descriptor, "__get__", make):
        ours = count()
        with _stock():
            assert ours == count() > 0


@pytest.mark.parametrize("kind", [RoutePattern, RegexPattern])
def test_what_a_pattern_keeps_may_not_count(kind: Any) -> None:
    descriptor = type(vars(kind)["regex"])
    resolver = root([path("<x>/", view), re_path("^(a)$", view)])
    resolver.resolve("/a/")
    resolver.resolve("/a")
    for each in resolver.url_patterns:
        each.pattern.regex = re.compile("b(?P<x>)")
    with mock.patch.object(descriptor, "__set__", print, create=True):
        ours = [_answer(resolver, each) for each in ("/a/", "/a", "/b")]
        with _stock():
            assert ours == [_answer(resolver, each) for each in ("/a/", "/a", "/b")]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="CPython cannot do that")
def test_a_mock_is_called_as_a_method() -> None:
    resolver, *_ = _site()
    with mock.patch.object(URLResolver, "resolve", autospec=True) as resolve:
        resolver.resolve("/a/3/")
    resolve.assert_called_once_with(resolver, "/a/3/")
    mock.create_autospec(URLResolver, instance=True).resolve("/a/3/")


@pytest.mark.parametrize("text", ["^a(?#b)?/", r"^(?:a)b(?#c)*\Z", "^a(?#b){0}"])
@pytest.mark.parametrize("asked", ["/", "/a", "//", "/ab"])
def test_a_comment_stands_between_what_is_repeated(text: str, asked: str) -> None:
    resolver = root([re_path(text, view)])
    ours = _answer(resolver, asked)
    with _stock():
        assert ours == _answer(resolver, asked)

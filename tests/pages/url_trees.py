"""Trees of Django's URL patterns, and paths that some of them match."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from unittest import mock

from django.urls import converters, path, re_path, resolvers
from django.urls.resolvers import (
    LocalePrefixPattern,
    RegexPattern,
    RoutePattern,
    URLPattern,
    URLResolver,
)
from django.utils.functional import lazystr
from django.views import View
from hypothesis import strategies as st

ASKED: list[Any] = []
UUID = "a1b2c3d4-0000-4000-8000-00000000000f"


class Even:
    """A converter that tells what it was asked."""

    regex = "[0-9]+"

    def to_python(self, value: str) -> int:
        ASKED.append(value)
        if int(value) % 2:
            raise ValueError(value)
        return int(value)


class OpenGroup(Even):
    regex = "2)|(?:b"

    def to_python(self, value: str) -> Any:
        return value


@contextmanager
def registered() -> Iterator[None]:
    """Have the converters above registered, which trees have."""
    own = {"even": Even(), "open": OpenGroup()}
    with mock.patch.dict(converters.REGISTERED_CONVERTERS, own):
        converters.get_converters.cache_clear()
        yield
    converters.get_converters.cache_clear()
    resolvers._route_to_regex.cache_clear()


def root(patterns: Any) -> URLResolver:
    return URLResolver(RegexPattern(r"^/"), patterns)


def view(request: Any) -> None: ...


class Curious:
    """A view that tells what it was asked for."""

    def __call__(self, request: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        ASKED.append(name)
        raise AttributeError(name)


class OwnPattern(URLPattern):
    pass


class OwnRoute(RoutePattern):
    pass


VIEWS = st.sampled_from(
    [view, View.as_view(), partial(view), Curious(), Curious.__call__]
)
NAMES = st.sampled_from([None, "", "one", "two"])
KWARGS = st.sampled_from([None, {}, {"x": "given"}, {"other": 1}])
ROUTES = st.sampled_from(
    [
        *("", "a/", "b/", "a", "é/", "a.b/", "a\n", "<int:x>/", "<int:x>", "<slug:y>/"),
        *("<path:z>/", "<path:z>", "<str:x>", "<uuid:x>/", "<even:x>/", "a-<int:x>.b/"),
        *("a/<even:x>/b/", "<even:x>/<int:y>/", "a<open:x>/", "a|<int:x>/"),
    ]
)
PARTS = (
    *(
        "^",
        "a",
        "/",
        "b",
        "$",
        r"\Z",
        r"\.",
        r"\$",
        r"\-",
        "|",
        "*",
        "?",
        "(",
        ")",
        "é",
    ),
    *(
        r"(\d+)",
        r"(?P<x>\d+)",
        r"(?P<y>b)?",
        "(?:a|b)",
        "[ab]",
        "{2}",
        "(?i)",
        "(?#b)",
        ".",
        "+",
    ),
)
REGEXES = st.one_of(
    st.sampled_from(
        [r"^a/$", "^a/", "^", "", r"^(?P<x>[0-9]+)/$", r"^(\d+)/", "^a\\$"]
    ),
    st.lists(st.sampled_from(PARTS), max_size=6)
    .map("".join)
    .filter(lambda text: _compiles(text)),
)
PATHS = st.lists(
    st.sampled_from(
        [
            "a/",
            "b/",
            "a",
            "A/",
            "é/",
            "12/",
            "3/",
            "4",
            "a-3.b/",
            "a.b/",
            "\n",
            "$",
            "de/",
            "x-y/",
            "a2/",
            "b",
            "a|3/",
            f"{UUID}/",
            "a/2/b/",
            "9" * 5000,
        ]
    ),
    max_size=5,
).map(lambda parts: "/" + "".join(parts))


def _compiles(text: str) -> bool:
    with suppress(re.error):
        return bool(re.compile(text))
    return False


def _leaf(kind: str, route: str, regex: str, *args: Any) -> Any:
    if kind == "regex":
        return re_path(regex, *args)
    made = path(lazystr(route) if kind == "lazy" else route, *args)
    if kind == "pattern":
        return OwnPattern(made.pattern, made.callback, made.default_args, made.name)
    if kind == "route":
        made.pattern = OwnRoute(route, name=made.name, is_endpoint=True)
    return made


def _included(
    kind: str, route: str, regex: str, inner: Any, kwargs: Any, of: Any
) -> Any:
    if kind == "locale":
        return URLResolver(LocalePrefixPattern(), inner, kwargs, *of)
    if kind == "regex":
        return URLResolver(RegexPattern(regex), inner, kwargs, *of)
    return URLResolver(RoutePattern(route), inner, kwargs, *of)


SPACES = st.sampled_from([(None, None), ("app", None), ("app", "space")])
KINDS = st.sampled_from(["path", "path", "path", "regex", "lazy", "pattern", "route"])
LEAVES = st.builds(_leaf, KINDS, ROUTES, REGEXES, VIEWS, KWARGS, NAMES)
TREES = st.lists(
    st.recursive(
        LEAVES,
        lambda inner: st.builds(
            _included,
            st.sampled_from(["path", "path", "regex", "locale"]),
            ROUTES,
            REGEXES,
            st.lists(inner, max_size=4),
            KWARGS,
            SPACES,
        ),
        max_leaves=8,
    ),
    max_size=5,
)

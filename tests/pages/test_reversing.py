"""Which path a view is at: what the core finds is what Django's own code finds."""

import re
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.test import override_settings
from django.urls import converters, include, path, re_path, resolvers, reverse
from django.urls.resolvers import URLResolver
from django.utils import translation
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st

from .url_trees import ASKED, TREES, registered, root, view
from .url_trees import UUID as KEY_TEXT

KEY = UUID(KEY_TEXT)


class Asked:
    """A value that tells when it is made text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        ASKED.append(self.text)
        return self.text


class Number(int):
    def __str__(self) -> str:
        return "9"


VALUES = st.sampled_from(
    [
        *("", "a", "b", "12", "a b", "é", "%", "%s", "//x", "a/b", "a\n", "\udc80"),
        *(0, 12, -1, 10**17, 10**30, 10**5000, True, None, 1.5, b"b", Number(3)),
        *(mark_safe("12"), mark_safe("<a>"), lazystr("b"), KEY),
        *(Asked("12"), Asked("b"), [1], "&~"),
    ]
)
PARAMS = st.sampled_from(
    ["x", "x", "x", "y", "z", "other", "self", "resolver", "prefix", "lookup_view"]
)
NAMED = st.dictionaries(PARAMS, VALUES, max_size=2)
ARGUMENTS = st.one_of(
    st.tuples(st.lists(VALUES, max_size=2), st.just({})),
    st.tuples(st.just([]), NAMED),
    st.tuples(st.lists(VALUES, max_size=1), NAMED),
)
PREFIXES = st.sampled_from(["/", "/", "/", "", "//", "/a b/", "/%s/", "/é/", "/a.b(/"])
SOUGHT = st.sampled_from(["one", "two", "", view, None, lazystr("one"), 5, []])


@pytest.fixture(autouse=True, scope="module")
def _converters() -> Iterator[None]:
    with registered():
        yield


def _answer(resolver: URLResolver, sought: Any, prefix: str, args: Any) -> Any:
    ASKED.clear()
    try:
        found = resolver._reverse_with_prefix(sought, prefix, *args[0], **args[1])
    except Exception as error:
        kinds = type(error), type(error.__cause__), type(error.__context__)
        return kinds, str(error), [*ASKED]
    return found, type(found), [*ASKED]


def _stock() -> Any:
    name = "_reverse_with_prefix"
    method: Any = getattr(URLResolver, name)
    return mock.patch.object(URLResolver, name, method.__wrapped__)


@given(TREES, SOUGHT, PREFIXES, ARGUMENTS, st.sampled_from(["de", "en"]))
def test_a_view_is_where_django_says(
    tree: Any, sought: Any, prefix: str, arguments: Any, language: str
) -> None:
    resolver, other = root(tree), root(tree)
    _answer(resolver, sought, prefix, arguments)  # asks each view what it is, once
    with translation.override(language):
        for _ in range(2):  # the second time it is known who is where
            ours = _answer(resolver, sought, prefix, arguments)
            with _stock():
                assert _answer(other, sought, prefix, arguments) == ours


BOOKS = [
    path("<int:number>", view, name="number"),
    path("", view, name="home"),
    path("books/<int:pk>/", view, name="book"),
    path("books/<slug:slug>/", view, name="book"),
    path("<path:rest>/of/<uuid:key>/", view, name="part"),
    re_path(r"^(?P<year>[0-9]{4})/(\d+)?$", view, name="year"),
    path("even/<int:pk>/", view, {"pk": 4}, name="even"),
    path("in/<str:shop>/", include(([path("x/<int:n>", view, name="x")], "shop"))),
]


@pytest.fixture
def urls() -> Iterator[None]:
    with override_settings(ROOT_URLCONF=tuple(BOOKS)):
        yield


LINKS: list[tuple[str, Any, Any, str]] = [
    ("home", [], {}, "/"),
    ("book", [7], {}, "/books/7/"),
    ("book", [], {"slug": "a-b"}, "/books/a-b/"),
    ("book", ["a-b"], {}, "/books/a-b/"),
    ("part", ["a/ü b", KEY], {}, f"/a/%C3%BC%20b/of/{KEY}/"),
    ("year", [], {"year": 2024}, "/2024/"),
    ("even", [], {"pk": 4}, "/even/4/"),
    ("shop:x", ["b", 3], {}, "/in/b/x/3"),
    ("part", ["/evil", KEY], {}, f"/%2Fevil/of/{KEY}/"),
]


@pytest.mark.core
@pytest.mark.parametrize(("name", "args", "kwargs", "wanted"), LINKS)
def test_links_take_no_method_of_django(
    urls: None, name: str, args: Any, kwargs: Any, wanted: str
) -> None:
    assert reverse(name, args=args, kwargs=kwargs) == wanted
    called = []
    sys.setprofile(lambda frame, *event: called.append(frame.f_code))
    try:
        assert reverse(name, args=args, kwargs=kwargs) == wanted
    finally:
        sys.setprofile(None)
    method: Any = URLResolver._reverse_with_prefix
    assert (method.__wrapped__.__code__ in called) == (name == "even")


@pytest.mark.parametrize(
    ("owner", "name", "made"),
    [
        (URLResolver, "reverse_dict", property(lambda self: {})),
        (converters.IntConverter, "to_url", lambda self, value: "5"),
        (resolvers, "quote", lambda text, safe: "quoted"),
        (resolvers, "escape_leading_slashes", lambda url: "escaped"),
        (resolvers, "RFC3986_SUBDELIMS", ""),
        (resolvers, "re", mock.Mock(search=lambda *args: None, escape=re.escape)),
        (re, "search", lambda *args: None),
    ],
)
def test_what_is_put_in_a_place_of_djangos_is_asked(
    urls: None, owner: Any, name: str, made: Any
) -> None:
    def answer() -> Any:
        return _answer(resolver, "number", "/a,", ([7], {}))

    resolver = root(BOOKS)
    assert answer()[0] == "/a,7"
    with mock.patch.object(owner, name, made):
        ours = answer()
        with _stock():
            assert answer() == ours
    assert ours[0] != "/a,7"
    assert answer()[0] == "/a,7"


def test_a_method_of_a_converter_is_asked() -> None:
    made = path("<int:pk>/", view, name="one")
    resolver = root([made])
    assert resolver._reverse_with_prefix("one", "/", 5) == "/5/"
    made.pattern.converters["pk"].to_url = lambda value: "6"
    try:
        assert resolver._reverse_with_prefix("one", "/", 5) == "/6/"
    finally:
        del made.pattern.converters["pk"].to_url


def test_other_patterns_at_the_same_place() -> None:
    found = []
    for route in ("a/<int:x>", "b/<int:x>"):
        with override_settings(ROOT_URLCONF=(path(route, view, name="one"),)):
            found += [reverse("one", args=[1]) for _ in range(2)]
    assert found == ["/a/1"] * 2 + ["/b/1"] * 2

"""Links in templates: what the core makes of `{% url %}` is what Django's node does."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django import urls
from django.conf.urls.i18n import i18n_patterns
from django.http import HttpRequest
from django.template import Context, Engine, RequestContext
from django.template.defaulttags import URLNode
from django.test import override_settings
from django.urls import URLResolver, include, path, set_script_prefix, set_urlconf
from django.utils import translation
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st

from .url_trees import view

INNER = [path("x/<int:n>/", view, name="x"), path("", view, name="home")]
SHOP = [
    path("<slug:s>/", view, name="x"),
    path("in/<str:t>/", include((INNER, "inner"))),
    path("of/<str:t>/", include((INNER, "inner"), namespace="of")),
]
URLS = (
    path("", view, name="home"),
    path("one/<int:n>/", view, name="one"),
    path("two/<path:p>/", view, name="two"),
    path("one/shop/", include((SHOP, "shop"))),
    path("two/<int:a>/shop/", include((SHOP, "shop"), namespace="second")),
    *i18n_patterns(path("i/<uuid:key>/", view, name="i")),
)
OTHER_URLS = (path("other/<n>", view, name="one"),)


class Odd:
    """Of an application that cannot be told."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


@contextmanager
def _stock() -> Iterator[None]:
    with ExitStack() as replaced:
        for owner, name in ((URLNode, "render"), (URLResolver, "_reverse_with_prefix")):
            before = vars(owner)[name].__wrapped__
            replaced.enter_context(mock.patch.object(owner, name, before))
        yield


NAMES = [
    *("home", "one", "two", "i", "none", "shop:x", "shop:home", "second:x"),
    *("shop:of:x", "none:x", "shop:none:x"),
    *("shop:inner:x", "second:inner:home", "second:of:x"),
]
LINKS = st.tuples(
    st.sampled_from([*(f"'{name}'" for name in NAMES), "name", "view"]),
    st.sampled_from(
        [
            *("", "a", "a b", "n=a", "s=a", "p=b", "t=a n=b", "a=a t=b n=a", "key=a"),
            *("a=b s=a", "n=a|add:1", "n=missing", "n='5'", "'<b>'", "p='&<'"),
        ]
    ),
    st.sampled_from(["", "", " as url"]),
).map(lambda each: "{% url " + each[0] + " " + each[1] + each[2] + " %}{{ url }}")
VALUES = st.sampled_from(
    [
        *(1, 25, -3, "a-b", "12", "a/b", "a b&c", "", None, 1.5, True, [], 10**20),
        *(mark_safe("<i>"), mark_safe("7"), UUID(int=5), "é", "//x"),
    ]
)
CURRENT = st.sampled_from(
    [None, "", "shop", "second", "second:of", "shop:inner", "none", 5, Odd()]
)


def _request(app: Any, namespace: Any) -> HttpRequest:
    request = HttpRequest()
    if app is not None:
        request.current_app = app  # type: ignore[attr-defined]
    if namespace is not None:
        request.resolver_match = (
            namespace
            if isinstance(namespace, Odd)
            else SimpleNamespace(namespace=namespace)
        )
    return request


def _rendered(template: Any, values: dict[str, Any], request: Any, escape: bool) -> Any:
    if request is None:
        context: Any = Context(values, autoescape=escape)
    else:
        context = RequestContext(request, values, autoescape=escape)
    try:
        text = template.render(context)
    except Exception as error:
        kinds = type(error), type(error.__cause__), type(error.__context__)
        return kinds, str(error)
    return text, type(text)


@given(
    LINKS,
    st.fixed_dictionaries({"a": VALUES, "b": VALUES, "name": st.sampled_from(NAMES)}),
    st.booleans(),
    CURRENT,
    CURRENT,
    st.booleans(),
    st.sampled_from(["/", "/", "/a,b/", "/é%/"]),
    st.sampled_from(["de", "en", None]),
    st.sampled_from([None, None, OTHER_URLS]),
)
def test_it_is_the_same_link(
    source: str,
    values: dict[str, Any],
    has_request: bool,
    app: Any,
    namespace: Any,
    escape: bool,
    prefix: str,
    language: str | None,
    others: Any,
) -> None:
    values["view"] = view
    request = _request(app, namespace) if has_request else None
    template = Engine(string_if_invalid="0").from_string(source)
    with override_settings(ROOT_URLCONF=URLS), translation.override(language):
        set_script_prefix(prefix)
        set_urlconf(others)
        try:
            for _ in range(2):  # the second time it is known who is where
                ours = _rendered(template, values, request, escape)
                with _stock():
                    assert _rendered(template, values, request, escape) == ours
        finally:
            set_urlconf(None)
            urls.clear_script_prefix()


@pytest.mark.core
@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("{% url 'one' n=a %}", "/one/5/"),
        ("{% url name a %}", "/one/5/"),
        ("{% url 'second:of:x' 3 'b' 5 %}", "/two/3/shop/of/b/x/5/"),
        ("{% url 'two' '&<' as url %}{{ url }}", "/two/&amp;%3C/"),
    ],
)
def test_links_take_no_function_of_django(source: str, wanted: str) -> None:
    template = Engine().from_string(source)
    called = []
    with override_settings(ROOT_URLCONF=URLS):
        for _ in range(2):
            called.clear()
            sys.setprofile(lambda frame, *event: called.append(frame.f_code.co_name))
            try:
                assert template.render(Context({"a": 5, "name": "one"})) == wanted
            finally:
                sys.setprofile(None)
    assert not {"reverse", "_reverse_with_prefix", "get_resolver"} & {*called}


@pytest.mark.parametrize("place", ["django.urls.reverse", "django.urls.base.reverse"])
def test_another_reverse(place: str) -> None:
    template = Engine().from_string("{% url 'home' %}")
    with override_settings(ROOT_URLCONF=URLS):
        assert template.render(Context()) == "/"
        with mock.patch(place, return_value="<mine>"):
            ours = template.render(Context())
            with _stock():
                assert template.render(Context()) == ours
        assert ours == ("/" if "base" in place else "&lt;mine&gt;")
        assert template.render(Context()) == "/"


@pytest.mark.parametrize("name", ["get_urlconf", "get_resolver", "get_script_prefix"])
def test_what_reverse_asks_for(name: str) -> None:
    template = Engine().from_string("{% url 'one' 5 %}")
    resolver = urls.get_resolver(OTHER_URLS)
    answers = {
        "get_urlconf": lambda: OTHER_URLS,
        "get_resolver": lambda urlconf: resolver,
        "get_script_prefix": lambda: "/mine/",
    }
    with override_settings(ROOT_URLCONF=URLS):
        assert template.render(Context()) == "/one/5/"
        with mock.patch(f"django.urls.base.{name}", answers[name]):
            ours = template.render(Context())
            with _stock():
                assert template.render(Context()) == ours
        assert ours != "/one/5/"
        assert template.render(Context()) == "/one/5/"


def test_who_makes_a_link_while_it_is_made() -> None:
    """What an argument replaces is Django's to call, for that link."""
    patch = mock.patch("django.urls.base.get_script_prefix", return_value="/mine/")
    template = Engine().from_string("{% url 'one' change %}")

    def change() -> int:
        patch.start()
        return 5

    with override_settings(ROOT_URLCONF=URLS):
        try:
            assert template.render(Context({"change": change})) == "/mine/one/5/"
        finally:
            patch.stop()
        assert template.render(Context({"change": 5})) == "/one/5/"

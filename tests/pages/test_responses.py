"""Responses that the core makes and sends: as if Django had."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from json import JSONEncoder
from types import ModuleType
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpHeaders, HttpResponse, JsonResponse, request, response
from django.http.response import HttpResponseBase, ResponseHeaders
from django.template.response import SimpleTemplateResponse
from django.test import override_settings
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st

from tests.support.noted import noted


def _stock(module: ModuleType) -> Any:
    spec = spec_from_file_location(f"stock_{module.__name__}", str(module.__file__))
    assert spec is not None
    assert spec.loader is not None
    stock = module_from_spec(spec)
    spec.loader.exec_module(stock)
    return stock


STOCK, STOCK_REQUEST = _stock(response), _stock(request)


def _outcome(call: Callable[[], Any]) -> Any:
    """Return what a call returns or raises, with what it says and its notes."""
    try:
        return call()
    except Exception as exc:
        said = str(exc).replace("stock_django.", "django.")
        return type(exc).__name__, said, getattr(exc, "__notes__", None)


def _looks(found: Any) -> Any:
    """Return what a response is, in the order in which it has been given it."""
    own = dict(found.__dict__)
    own["headers"] = list(own["headers"]._store.items())
    own["cookies"] = type(own["cookies"]).__name__, own["cookies"].output()
    inside = [(name, type(value).__name__, value) for name, value in own.items()]
    parts = [type(part) for part in found._container]
    charset = _outcome(lambda: found.charset)
    seen = found.status_code, found.reason_phrase, found.content, repr(found)
    return inside, parts, charset, seen, _outcome(lambda: found.text)


TEXTS = st.one_of(
    st.text(max_size=8),
    st.text("aZ-\r\n\x00\x7f\x85ÿĀé", max_size=6),
    st.sampled_from(["Content-Type", "content-length", "X-A", "text/html", "\ud800"]),
)
NAMES = st.one_of(TEXTS, TEXTS.map(mark_safe), st.binary(max_size=6))
VALUES = st.one_of(
    NAMES,
    TEXTS.map(lazystr),
    st.integers(),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
)
CONTENTS = st.one_of(
    VALUES,
    st.binary(max_size=9).map(memoryview),
    st.lists(VALUES, max_size=3),
    st.lists(VALUES, max_size=3).map(tuple),
    st.dictionaries(TEXTS, TEXTS, max_size=2),
)
TYPES = st.sampled_from(
    [
        *(None, "", "text/plain", "text/html; charset=latin-1", b"text/plain", 7),
        *('a; CHARSET="utf-8"', "a;charset=nope", lazystr("b; charset=ascii"), "é;\n"),
    ]
)
HEADERS = st.one_of(
    st.none(),
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.just({"Content-Type": "a; charset=utf-16"}),
    st.lists(st.tuples(NAMES, VALUES), max_size=2),
    st.just([("a",)]),
)
STATUSES = st.sampled_from([None, 200, 404, "201", 99, 600, True, "x", 204.5])
REASONS = st.sampled_from([None, "", "Fine", "a\nb", lazystr("Well")])
CHARSETS = st.sampled_from([None, "utf-8", "latin-1", "nope", "", lazystr("ascii")])
KWARGS = st.fixed_dictionaries(
    {},
    optional={
        "content_type": TYPES,
        "status": STATUSES,
        "reason": REASONS,
        "charset": CHARSETS,
        "headers": HEADERS,
        "other": st.none(),
    },
)
ARGS = st.one_of(
    st.just(()), st.tuples(TYPES), st.tuples(TYPES, STATUSES, REASONS, CHARSETS)
)


@given(CONTENTS, ARGS, KWARGS, st.sampled_from(["HttpResponse", "Gone", "NotAllowed"]))
def test_responses_are_as_djangos(
    content: Any, args: Any, kwargs: Any, of: str
) -> None:
    name = of if of == "HttpResponse" else f"HttpResponse{of}"
    made = [
        _outcome(lambda: _looks(getattr(module, name)(content, *args, **kwargs)))
        for module in (response, STOCK)
    ]
    assert made[0] == made[1]


@given(CONTENTS, KWARGS, st.lists(CONTENTS, max_size=2))
def test_contents_are_as_djangos(content: Any, kwargs: Any, others: list[Any]) -> None:
    def looks(module: Any) -> Any:
        made = module.HttpResponse(content=iter([content]), **kwargs)
        found = [made.text]
        for other in others:
            found.append(_outcome(lambda: setattr(made, "content", other)))
            made.write("é")
            found.append(_looks(made))
        return found

    assert _outcome(lambda: looks(response)) == _outcome(lambda: looks(STOCK))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["__setitem__", "setdefault", "pop", "__delitem__", "get"]),
        NAMES,
        VALUES,
    )
)


@given(HEADERS, STEPS)
def test_headers_are_as_djangos(first: Any, steps: list[tuple[str, Any, Any]]) -> None:
    def looks(module: Any) -> Any:
        headers, found = module.ResponseHeaders(first), []
        for step, name, value in steps:
            args = (name,) if step == "__delitem__" else (name, value)
            found.append(_outcome(lambda: getattr(headers, step)(*args)))
        items = list(headers._store.items())
        return found, items, [type(each) for _, pair in items for each in pair]

    assert _outcome(lambda: looks(response)) == _outcome(lambda: looks(STOCK))


META = st.dictionaries(
    st.one_of(
        st.text("ABZ_-é", max_size=4).map("HTTP_".__add__),
        st.sampled_from(
            ["CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_", "HTTP_İ", "PATH", 5]
        ),
    ),
    VALUES,
)


@given(META)
def test_headers_of_requests_are_as_djangos(meta: dict[Any, Any]) -> None:
    for _ in range(2):  # the second time its names are known
        ours, stock = (
            _outcome(lambda: list(module.HttpHeaders(meta)._store.items()))
            for module in (request, STOCK_REQUEST)
        )
        assert ours == stock


SCALARS = st.one_of(
    VALUES,
    st.just(datetime(2024, 1, 2, 3, 4, 5, 6789, tzinfo=UTC)),
    st.sampled_from([Decimal("1.10"), timedelta(1, 2), time(1), UUID(int=5)]),
    st.sampled_from([float("nan"), float("inf"), time(1, tzinfo=UTC), {1, 2}]),
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(TEXTS, st.integers(), st.none()), inner, max_size=3),
        st.dictionaries(st.tuples(TEXTS), inner, max_size=1),
    ),
)
JSON_KWARGS = st.fixed_dictionaries(
    {},
    optional={
        "safe": st.sampled_from([True, False, 0, "yes"]),
        "encoder": st.sampled_from([JSONEncoder, DjangoJSONEncoder]),
        "json_dumps_params": st.sampled_from([None, {}, {"indent": 1}]),
        "content_type": TYPES,
        "content": st.none(),
        "status": STATUSES,
    },
)


@given(DATA, JSON_KWARGS)
def test_json_responses_are_as_djangos(data: Any, kwargs: Any) -> None:
    made = [
        _outcome(lambda: _looks(module.JsonResponse(data, **kwargs)))
        for module in (response, STOCK)
    ]
    assert made[0] == made[1]


def test_a_circle_is_an_error_and_leaves_nothing() -> None:
    inner: list[Any] = []
    inner.append(inner)
    for _ in range(2):
        with pytest.raises(ValueError, match="Circular reference detected"):
            JsonResponse(inner, safe=False)
    inner.clear()
    assert JsonResponse(inner, safe=False).content == b"[]"


def test_what_makes_a_response_of_itself_is_no_circle() -> None:
    shared, asked = dict[str, Any](), list[str]()

    class Inside(UUID):
        def __str__(self) -> str:
            asked.append("asked")
            return "end" if len(asked) > 1 else JsonResponse(shared).text

    shared["at"] = Inside(int=1)
    assert json.loads(JsonResponse(shared).content) == {"at": '{"at": "end"}'}


def test_djangos_methods_are_asked_when_patched() -> None:
    patched = (
        (ResponseHeaders, "_convert_to_charset"),
        (ResponseHeaders, "__setitem__"),
        (ResponseHeaders, "__getattribute__"),
        (HttpResponseBase, "make_bytes"),
        (HttpResponseBase, "__init__"),
        (HttpResponse, "__init__"),
        (DjangoJSONEncoder, "default"),
        (JSONEncoder, "encode"),
        (JSONEncoder, "iterencode"),
        (json, "dumps"),
        (response, "SimpleCookie"),
        (response, "ResponseHeaders"),
    )
    for owner, name in patched:
        with noted(owner, name) as asked:
            JsonResponse({"at": UUID(int=1)})
        assert asked, name
    parse = classmethod(lambda cls, name: "B")
    with mock.patch.object(HttpHeaders, "parse_header_name", parse):
        assert dict(HttpHeaders({"HTTP_A": "1"})) == {"B": "1"}
    with noted(HttpHeaders, "__getattribute__") as asked:
        HttpHeaders({"HTTP_A": "1"})
    assert asked
    with noted(JSONEncoder, "default") as asked, pytest.raises(TypeError):
        JsonResponse({"at": object()})
    assert len(asked) == 1
    with mock.patch("json.encoder.c_make_encoder", None):
        assert JsonResponse({"a": [1]}).content == b'{"a": [1]}'


def test_what_is_patched_in_the_module_is_used() -> None:
    found = mock.Mock(**{"search.return_value": {"charset": "latin-1"}})
    plain = HttpResponse("é")
    with mock.patch.object(response, "_charset_from_content_type_re", found):
        assert plain.charset == "latin-1"
    assert plain.charset == "utf-8"
    with override_settings(DEFAULT_CHARSET="latin-1"):
        assert HttpResponse("é").content == b"\xe9"
        assert HttpResponse("é")["Content-Type"] == "text/html; charset=latin-1"
    assert HttpResponse("é").content == "é".encode()


def test_subclasses_are_asked_their_own_way() -> None:
    class Own(JsonResponse):
        def make_bytes(self, value: Any) -> bytes:
            return b"made"

        @property
        def charset(self) -> str:
            return "own"

        @charset.setter
        def charset(self, value: str) -> None: ...

        @property
        def reason_phrase(self) -> str:
            return "own"

        @reason_phrase.setter
        def reason_phrase(self, value: Any) -> None:
            self.set_reason = value

    own = Own({}, content_type=None)
    assert (own.content, own["Content-Type"]) == (b"made", "text/html; charset=own")
    if hasattr(response, "_control_chars_re"):
        assert own.set_reason is None

    class Between(HttpResponseBase):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.between = True

    class Both(HttpResponse, Between):
        pass

    assert Both("x").between

    class Asked(HttpResponse):
        def __getattribute__(self, name: str) -> Any:
            if name == "make_bytes":
                return lambda value: b"asked"
            return super().__getattribute__(name)

    assert Asked("x").content == b"asked"
    one = HttpResponse("x")
    one.make_bytes = lambda value: b"own"  # type: ignore[method-assign]
    one.content = "x"  # type: ignore[assignment]
    assert one.content == b"own"
    page: Any = SimpleTemplateResponse("none")
    page.content = mark_safe("é")
    assert (page.content, page.is_rendered) == ("é".encode(), True)

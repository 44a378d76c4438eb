"""Requests, and what clients have sent, that the core makes: as if Django had."""

import copy
import io
import pickle
from http import cookies
from inspect import unwrap
from typing import Any
from unittest import mock
from urllib import parse

import pytest
from django.core.exceptions import TooManyFieldsSent
from django.core.handlers import asgi
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, QueryDict, parse_cookie, request
from django.test import override_settings
from django.utils.datastructures import MultiValueDict
from hypothesis import given
from hypothesis import strategies as st

from tests.support.noted import noted

DJANGOS: dict[str, Any] = {
    "query": unwrap(QueryDict.__init__),
    "request": unwrap(ASGIRequest.__init__),
    "cookie": unwrap(parse_cookie),
}
SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/é/",
    "root_path": "",
    "query_string": b"turn=5",
    "client": ("127.0.0.1", 5),
    "server": ("127.0.0.1", 8000),
    "headers": [(b"host", b"testserver"), (b"x-one", b"1"), (b"cookie", b"a=1")],
}


def _answer(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Return what a function does, or its error in words."""
    try:
        return function(*args, **kwargs)
    except Exception as exc:
        return f"{type(exc).__name__}: {exc} from {exc.__cause__!r}"


def _fields(init: Any, *args: Any, **kwargs: Any) -> Any:
    made = QueryDict.__new__(QueryDict)
    error = _answer(init, made, *args, **kwargs)
    return error, list(dict.items(made)), list(vars(made).items())


def _parts(init: Any, scope: Any, kind: type[Any] = ASGIRequest) -> Any:
    made = kind.__new__(kind)
    error = _answer(init, made, scope, "body")
    parts = vars(made)
    return error, list(parts.items()), list(parts.get("META", {}).items())


PIECES = st.sampled_from(
    [*"aA1&=;+%é\ud800\x00 ", "%2B", "%C3%A9", "%c3", "%zz", "%", "%E2%82%AC", "&&"]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)
SENT = st.one_of(TEXTS, TEXTS.map(lambda text: text.encode("utf-8", "replace")))
ENCODINGS = st.sampled_from([None, "", "utf-8", "UTF-8", "latin-1", "utf-16", "none"])
LIMITS = st.sampled_from([None, 0, 1, 3, True, 1000])


@given(SENT, ENCODINGS, ENCODINGS, LIMITS, st.sampled_from([True, False, 2]))
def test_fields_are_as_djangos(
    sent: Any, encoding: Any, charset: Any, limit: Any, mutable: Any
) -> None:
    with override_settings(
        DATA_UPLOAD_MAX_NUMBER_FIELDS=limit, DEFAULT_CHARSET=charset or "utf-8"
    ):
        args = sent, mutable, encoding
        assert _fields(QueryDict.__init__, *args) == _fields(DJANGOS["query"], *args)


@pytest.mark.parametrize(
    "sent", [None, "", b"", 0, 5, ["a=b"], bytearray(b"a=b"), mock.sentinel.sent]
)
def test_what_is_no_text_is_djangos(sent: Any) -> None:
    assert _fields(QueryDict.__init__, sent) == _fields(DJANGOS["query"], sent)


def test_a_query_dict_that_has_fields_takes_more() -> None:
    for init in (QueryDict.__init__, DJANGOS["query"]):
        fields = QueryDict("a=1", mutable=True)
        init(fields, "a=2&b=3", mutable=True)
        assert fields.getlist("a") == ["1", "2"]
        fields = QueryDict("")
        with pytest.raises(AttributeError, match="immutable"):
            init(fields, "a=1")


def test_a_query_dict_is_copied_and_pickled() -> None:
    fields = QueryDict("a=1&a=%C3%A9")
    with pytest.raises(AttributeError, match="immutable"):
        fields["a"] = "2"
    for each in (fields.copy(), copy.copy(fields), copy.deepcopy(fields)):
        each["b"] = "2"
        assert each.urlencode() == "a=1&a=%C3%A9&b=2"
    assert pickle.loads(pickle.dumps(fields)) == fields


def test_too_many_fields_are_an_error_of_djangos() -> None:
    with (
        override_settings(DATA_UPLOAD_MAX_NUMBER_FIELDS=2),
        pytest.raises(TooManyFieldsSent),
    ):
        QueryDict("a&b&c")


class _Own(QueryDict):
    def appendlist(self, key: Any, value: Any) -> None:
        super().appendlist(key.upper(), value)


def test_a_subclass_adds_its_own_way() -> None:
    assert _Own("a=1").getlist("A") == ["1"]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (request, "parse_qsl"),
        (request, "bytes_to_text"),
        (parse, "unquote"),
        (QueryDict, "appendlist"),
        (QueryDict, "_assert_mutable"),
        (QueryDict, "__getattribute__"),
        (MultiValueDict, "setlist"),
        (MultiValueDict, "__init__"),
    ],
)
def test_a_tool_that_asks_for_fields_is_asked(owner: Any, name: str) -> None:
    with noted(owner, name) as called:
        QueryDict("a=1")
    assert called


COOKIES = st.lists(
    st.sampled_from([*'ab=; "\\é\x1c\t', '"a\\054b"', "; ", '""']), max_size=12
).map("".join)


@given(COOKIES)
def test_cookies_are_as_djangos(sent: str) -> None:
    found, djangos = _answer(parse_cookie, sent), _answer(DJANGOS["cookie"], sent)
    assert list(found.items()) == list(djangos.items())


def test_a_tool_that_asks_for_quotes_is_asked() -> None:
    with noted(cookies, "_unquote") as called:
        assert asgi.parse_cookie("a=1") == {"a": "1"}
    assert called == [("1",)]


VALUES = st.one_of(st.none(), st.sampled_from(["", "x", b"", b"x", b"\xe9", 5, True]))
NAMES = st.sampled_from(
    [
        *(b"host", b"Cookie", b"cookie", b"x-a", b"X-A", b"x_a", b"\xe9-\xdf", b""),
        *(b"content-type", b"content-length", b"Content-Type", "x-a"),
    ]
)
SENT_VALUES = st.sampled_from(
    [
        *(b"", b"a", b"a; ", b";", b"\xe9", b"text/plain", b" Text/HTML ", "text"),
        *(b"text/html; charset=latin-1", b"a; charset=none", b"a" * 200, b"a" * 20000),
    ]
)
HEADERS = st.lists(st.tuples(NAMES, SENT_VALUES), max_size=5)
PAIRS = st.one_of(VALUES, st.lists(VALUES), st.tuples(VALUES, VALUES))
SCOPES = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["GET", "post", "é", b"GET", None]),
        "path": st.sampled_from(["/", "/app/x", "/é", "", b"/", None]),
        "root_path": st.sampled_from(["", "/app", None, b"", 0]),
        "query_string": st.one_of(VALUES, SENT),
        "client": PAIRS,
        "server": PAIRS,
        "headers": st.one_of(
            HEADERS, HEADERS.map(tuple), st.lists(st.lists(NAMES)), VALUES
        ),
    },
).map(lambda scope: SCOPE | scope)


@given(SCOPES, st.sampled_from([None, None, "", "/app"]))
def test_requests_are_as_djangos(scope: Any, script: Any) -> None:
    with override_settings(FORCE_SCRIPT_NAME=script):
        found = _parts(ASGIRequest.__init__, scope)
        assert found == _parts(DJANGOS["request"], scope)


@pytest.mark.parametrize("lacking", [*SCOPE, None])
def test_a_scope_may_lack_parts(lacking: Any) -> None:
    scope = {name: value for name, value in SCOPE.items() if name != lacking}
    found = _parts(ASGIRequest.__init__, scope)
    assert found == _parts(DJANGOS["request"], scope)


def test_clients_may_send_any_number_of_names() -> None:
    for i in range(500):
        name = f"x-{i}".encode()
        made = ASGIRequest(SCOPE | {"headers": [(name, b"1")]}, io.BytesIO())
        assert made.META[f"HTTP_X_{i}"] == "1"
    assert ASGIRequest(SCOPE, io.BytesIO()).META["HTTP_X_ONE"] == "1"


class _Scope(dict[str, Any]):
    def __getitem__(self, name: str) -> Any:
        return "/asked/" if name == "path" else super().__getitem__(name)


def test_a_scope_of_its_own_class_is_asked() -> None:
    assert ASGIRequest(_Scope(SCOPE), io.BytesIO()).path == "/asked/"


class _OwnRequest(ASGIRequest):
    path_info = property(lambda self: "own", lambda self, value: None)  # type: ignore[assignment]

    def _set_content_type_params(self, meta: Any) -> None:
        self.content_type = "own"


def test_a_subclass_has_its_own_parts() -> None:
    made = _OwnRequest(SCOPE, io.BytesIO())
    assert (made.META["PATH_INFO"], made.content_type) == ("own", "own")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (asgi, "get_script_prefix"),
        (request, "parse_header_parameters"),
        (HttpRequest, "_set_content_type_params"),
        (ASGIRequest, "__getattribute__"),
    ],
)
def test_a_tool_that_asks_for_parts_is_asked(owner: Any, name: str) -> None:
    with noted(owner, name) as called:
        ASGIRequest(SCOPE, io.BytesIO())
    assert called

"""`get_host()`, which the core answers: as if Django had."""

import re
from inspect import unwrap
from typing import Any
from unittest import mock

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, request
from django.test import RequestFactory, override_settings
from hypothesis import given
from hypothesis import strategies as st

from tests.support.noted import noted

DJANGOS: Any = unwrap(HttpRequest.get_host)
HOSTS = st.one_of(
    st.sampled_from(
        [
            *("a.b", "A.b:80", "a.b.", "a.b..", ".", ".a.b", "a.b:", "a.b:8x", ""),
            *("x.a.b", "xa.b", "[::1]", "[::1]:80", "é.b", "a_b", "a.b:80:1", "\uff41"),
            *("a" * 254, "a" * 255, "a" * 256, None, 5, b"a.b"),
        ]
    ),
    st.text("ab.-:1A", max_size=6),
)
PATTERNS = st.lists(
    st.one_of(
        st.sampled_from(["*", ".a.b", "a.b", ".A.b", "A.B", "", ".", "é", ".b", 5]),
        st.text("ab.", max_size=4),
    ),
    max_size=4,
)


def _said(get_host: Any, made: HttpRequest) -> Any:
    try:
        return get_host(made)
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"


@given(HOSTS, PATTERNS, st.booleans(), st.booleans(), st.booleans())
def test_hosts_are_as_djangos(
    host: Any, patterns: list[Any], is_tuple: bool, debug: bool, forwarded: bool
) -> None:
    made = HttpRequest()
    made.META = {"HTTP_HOST": host, "HTTP_X_FORWARDED_HOST": "b.a"}
    with override_settings(
        ALLOWED_HOSTS=tuple(patterns) if is_tuple else patterns,
        DEBUG=debug,
        USE_X_FORWARDED_HOST=forwarded,
    ):
        assert _said(HttpRequest.get_host, made) == _said(DJANGOS, made)


def _localhost() -> WSGIRequest:
    return RequestFactory(headers={"host": "localhost"}).get("/")


@override_settings(ALLOWED_HOSTS=["localhost"])
def test_a_host_may_be_put_together() -> None:
    made = HttpRequest()
    made.META = {"SERVER_NAME": "localhost", "SERVER_PORT": 8000}
    assert made.get_host() == "localhost:8000"


@override_settings(ALLOWED_HOSTS=["localhost"])
@pytest.mark.parametrize("name", ["split_domain_port", "validate_host"])
def test_a_tool_that_asks_for_hosts_is_asked(name: str) -> None:
    with noted(request, name) as called:
        assert _localhost().get_host() == "localhost"
    assert called


def test_a_rule_of_ones_own_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _localhost()
    rule = re.compile("^(other)(:8)?$")
    monkeypatch.setattr(request, "host_validation_re", rule)
    assert _said(HttpRequest.get_host, made).startswith("DisallowedHost: Invalid")


def test_a_request_may_know_its_host() -> None:
    made = _localhost()
    with (
        mock.patch.object(made, "_get_raw_host", return_value="a.localhost"),
        override_settings(ALLOWED_HOSTS=[".localhost"]),
    ):
        assert made.get_host() == "a.localhost"


class _Tenant(WSGIRequest):
    def _get_raw_host(self) -> str:
        return "b.localhost"


class _Asked(HttpRequest):
    META = property(lambda self: {"HTTP_HOST": "c.localhost"}, lambda self, value: None)  # type: ignore[assignment]


def test_a_subclass_has_its_own_host() -> None:
    tenant = _Tenant(_localhost().environ)
    with override_settings(ALLOWED_HOSTS=[".localhost"]):
        assert tenant.get_host() == "b.localhost"
        assert _Asked().get_host() == "c.localhost"

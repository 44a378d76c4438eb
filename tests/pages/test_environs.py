"""What the core reads from a WSGI server's environ: as if Django had."""

from inspect import unwrap
from typing import Any

import pytest
from django.core.handlers import wsgi
from django.test import RequestFactory, override_settings
from hypothesis import given
from hypothesis import strategies as st

from tests.support.noted import noted

VALUES = st.sampled_from(["", "/", "/a", "//a", "/\xc3\xa9", "/\xe9", "/é€", None, b""])
NAMES = "PATH_INFO", "SCRIPT_NAME", "SCRIPT_URL", "REDIRECT_URL"
ENVIRONS = st.dictionaries(st.sampled_from(NAMES), VALUES)
SETTINGS = st.sampled_from([None, None, "", "/forced"])


def _said(function: Any, environ: dict[str, Any]) -> Any:
    try:
        return function(environ)
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"


@given(ENVIRONS, SETTINGS, st.sampled_from(["get_script_name", "get_path_info"]))
def test_paths_are_as_djangos(environ: Any, forced: Any, name: str) -> None:
    function: Any = getattr(wsgi, name)
    with override_settings(FORCE_SCRIPT_NAME=forced):
        assert _said(function, environ) == _said(unwrap(function), environ)


class _Environ(dict[str, Any]):
    def get(self, name: str, default: Any = None) -> Any:
        return {"PATH_INFO": "/asked"}.get(name, "")


def test_an_environ_of_its_own_class_is_asked() -> None:
    assert wsgi.get_path_info(_Environ(PATH_INFO="/")) == "/asked"


@pytest.mark.parametrize("name", ["get_bytes_from_wsgi", "repercent_broken_unicode"])
def test_a_tool_that_asks_for_paths_is_asked(name: str) -> None:
    with noted(wsgi, name) as called:
        assert RequestFactory().get("/a").path == "/a"
    assert called

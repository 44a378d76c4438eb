"""Mocks of what the core does for a page: Django's methods are functions still."""

import inspect
import sys
from typing import Any
from unittest import mock

import pytest
from django import http
from django.core.handlers import asgi, wsgi
from django.http import HttpRequest, cookie
from django.template import base, context, defaulttags

pytestmark = [
    pytest.mark.core,
    pytest.mark.skipif(sys.version_info < (3, 12), reason="CPython cannot do that"),
]
METHODS = [
    (HttpRequest, "get_host", ()),
    (base.Variable, "_resolve_lookup", ({},)),
    (base.FilterExpression, "resolve", ({}, True)),
    (base.VariableNode, "render", ({},)),
    (base.NodeList, "render", ({},)),
    (defaulttags.ForNode, "render", ({},)),
    (defaulttags.URLNode, "render", ({},)),
    (context.BaseContext, "get", ("name", 1)),
]


@pytest.mark.parametrize(("kind", "name", "given"), METHODS)
def test_a_mock_is_called_as_a_method(kind: Any, name: str, given: Any) -> None:
    instance = kind.__new__(kind)
    with mock.patch.object(kind, name, autospec=True) as called:
        getattr(instance, name)(*given)
    called.assert_called_once_with(instance, *given)
    getattr(mock.create_autospec(kind, instance=True), name)(*given)


@pytest.mark.parametrize(("kind", "name", "given"), METHODS)
def test_a_wrong_call_is_refused_in_pythons_words(
    kind: Any, name: str, given: Any
) -> None:
    with pytest.raises(
        TypeError, match=rf"^{kind.__name__}\.{name}\(\) takes .* given"
    ):
        getattr(kind.__new__(kind), name)(*given, 1, 2, 3)


def test_functions_of_modules_stay_functions() -> None:
    for function in (wsgi.get_script_name, wsgi.get_path_info, cookie.parse_cookie):
        assert inspect.isfunction(function)
    assert wsgi.get_path_info(environ={"PATH_INFO": "/a"}) == "/a"
    for module in (http, asgi, wsgi):
        assert getattr(module, "parse_cookie") is cookie.parse_cookie  # noqa: B009

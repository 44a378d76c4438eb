"""A request, made of what its server says; its host, its fields and its cookies.

Django takes 50,000 instructions for a request, as many for the first field of a query
string and half as many for the host, which `CommonMiddleware` asks for.
"""

from collections.abc import Iterator
from functools import update_wrapper
from http import cookies
from inspect import unwrap
from types import ModuleType
from typing import Any
from urllib import parse

from django import http
from django.core.handlers import asgi, wsgi
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, QueryDict, cookie, request
from django.utils.datastructures import MultiValueDict

from .. import _native
from ..unpatched import Unpatched, UnpatchedFunctions, is_like, is_own

# By what Django adds a field to a QueryDict, and sets what an ASGIRequest has.
FIELDS = (
    *("appendlist", "setlistdefault", "setlist", "_getlist", "_assert_mutable"),
    *("encoding", "_encoding", "_mutable", "__contains__", "__setattr__"),
    "__getattribute__",
)
PARTS = (
    *("scope", "_post_parse_error", "_read_started", "resolver_match", "path"),
    *("script_name", "path_info", "method", "META", "content_type", "content_params"),
    "_stream",
)
METHODS = "_set_content_type_params", "__setattr__", "__getattribute__"
HOST = r"^([a-z0-9.-]+|\[[a-f0-9]*:[a-f0-9.:]+\])(?::([0-9]+))?$"
HOSTS = "split_domain_port", "validate_host", "is_same_domain"


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield what is replaced: owner, name, replacement, reason."""
    rows, values, name = _native.rows, vars(request), "__init__"
    if is_like(QueryDict, QueryDict, (name,)):
        unpatched = Unpatched(
            (QueryDict, QueryDict, FIELDS),
            (MultiValueDict, MultiValueDict, (*FIELDS, name)),
        )
        functions = UnpatchedFunctions(
            *((request, name) for name in ("parse_qsl", "bytes_to_text")),
            *((parse, name) for name in ("unquote", "unquote_plus")),
        )
        method = rows.query_dict_initialiser(
            QueryDict, values, functions.watch, unpatched.watch
        )
        reason = "the fields of a query string are found in one step"
        yield QueryDict, name, update_wrapper(method, QueryDict.__init__), reason
    if is_like(ASGIRequest, ASGIRequest, (name,)):
        before = unwrap(ASGIRequest.__init__)
        requests = rows.ScopeRequests(
            ASGIRequest,
            asgi=vars(asgi),
            functions=_own(asgi, "get_script_prefix"),
            parsers=_own(request, "parse_header_parameters"),
            watch=Unpatched((ASGIRequest, ASGIRequest, PARTS + METHODS)).watch,
            names=PARTS,
            cookies_first="HTTP_COOKIE" in before.__code__.co_consts,
        )
        reason = "a request has what its scope says in one step"
        yield ASGIRequest, name, update_wrapper(requests.initialiser(), before), reason
    owner, name = HttpRequest, "get_host"
    if is_like(owner, owner, (name, "_get_raw_host")):
        method = rows.host_getter(owner, values, _own(request, *HOSTS), HOST)
        reason = "a host that is allowed needs no regular expression"
        yield owner, name, update_wrapper(method, owner.get_host), reason
    yield from _of_functions()


def _of_functions() -> Iterator[tuple[Any, str, Any, str]]:
    found, name = cookie.parse_cookie, "parse_cookie"
    if is_own(cookie, name):
        before = unwrap(found)
        parser = _native.rows.cookie_parser(before, _own(cookies, "_unquote"))
        reason = "cookies are found in one step"
        for module in (cookie, http, asgi, wsgi):
            if vars(module)[name] is found:
                yield module, name, update_wrapper(parser, before), reason
    names = "get_script_name", "get_path_info"
    if all(is_own(wsgi, name) for name in names):
        functions = [unwrap(vars(wsgi)[name]) for name in names]
        needed = _own(wsgi, "get_bytes_from_wsgi", "repercent_broken_unicode")
        readers = _native.rows.environ_readers(*functions, needed)
        reason = "a path in ASCII is what the environ says"
        for name, reader, before in zip(names, readers, functions, strict=True):
            yield wsgi, name, update_wrapper(reader, before), reason


def _own(module: ModuleType, *names: str) -> Any:
    """Return what tells the core whether a module has functions of its own."""
    return UnpatchedFunctions(*((module, name) for name in names)).watch

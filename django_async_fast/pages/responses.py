"""A response, its headers and its content, made and sent by the core.

Each page has one. Most of what Django asks about it has the same answer for all of
them: its charset, whether a header has to be encoded, what makes its JSON.
"""

import _json
import json
import json.encoder
from collections.abc import Callable, Iterator, Mapping
from functools import update_wrapper
from json import JSONEncoder
from typing import Any, cast

from django.core.serializers.json import DjangoJSONEncoder
from django.http import response
from django.http.request import HttpHeaders
from django.http.response import (
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    ResponseHeaders,
)
from django.utils.datastructures import CaseInsensitiveMapping

from .. import _native
from ..unpatched import Unpatched, inside, is_like, is_own

OF_HEADERS = (
    *("__new__", "__init__", "__contains__", "__getitem__", "__setitem__", "__iter__"),
    *("_convert_to_charset", "_unpack_items", "get", "items", "__getattribute__"),
)
OF_REQUEST_HEADERS = (
    *("__new__", "__init__", "__contains__", "__getitem__", "get"),
    *("_unpack_items", "parse_header_name", "__getattribute__"),
    *("HTTP_PREFIX", "UNPREFIXED_HEADERS"),
)
OF_ENCODER = (
    *("__new__", "__init__", "default", "encode", "iterencode"),
    *("item_separator", "key_separator"),
)
# What is C in the module `json.encoder`: its name there, and where it is from.
OF_JSON = {
    "c_make_encoder": "make_encoder",
    "encode_basestring_ascii": "encode_basestring_ascii",
}
OF_BASE = "__init__", "charset", "items", "make_bytes", "reason_phrase"
OF_CLASSES = (
    (HttpHeaders, ("__init__",)),
    (ResponseHeaders, ("__init__", "__setitem__")),
    (HttpResponseBase, OF_BASE),
    (HttpResponse, ("__init__", "content")),
    (JsonResponse, ("__init__",)),
)


def _none(response: Any) -> None:
    return None


# Returns what is sent of a response at first; None where Django has to tell.
encoded_headers: Callable[[Any], list[tuple[bytes, bytes]] | None] = _none


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield what is replaced: owner, name, replacement, reason."""
    global encoded_headers
    # A tool that has been here first is not passed by, whatever it is called for.
    if not all(is_like(kind, kind, names) for kind, names in OF_CLASSES):
        return
    headers = _header_methods()
    yield from _of_headers(headers)
    own = vars(HttpResponseBase)
    methods = _native.rows.ResponseMethods(
        headers,
        _texts(),
        base=HttpResponseBase,
        kind=HttpResponse,
        json=JsonResponse,
        names=vars(response),
        own=(own["reason_phrase"], own["make_bytes"], own["items"]),
        json_module=json,
    )
    yield from _of_responses(methods)
    encoded_headers = methods.encoded_headers


def _header_methods() -> Any:
    unpatched = Unpatched(
        (ResponseHeaders, ResponseHeaders, OF_HEADERS),
        (HttpHeaders, HttpHeaders, OF_REQUEST_HEADERS),
    )
    return _native.rows.HeaderMethods(HttpHeaders, ResponseHeaders, unpatched.watch)


def _of_headers(headers: Any) -> Iterator[tuple[Any, str, Any, str]]:
    contains, get = headers.lookups(CaseInsensitiveMapping)
    reason = "a header that is not there is no KeyError"
    for name, method in (("__contains__", contains), ("get", _getter(get))):
        update_wrapper(method, getattr(Mapping, name))
        del method.__wrapped__  # it is an attribute more, none is replaced
        yield CaseInsensitiveMapping, name, method, reason
    reason = "a header that needs no encoding is set in a step"
    names = "__init__", "__setitem__"
    for name, method in zip(names, headers.methods_of_response(), strict=True):
        method = update_wrapper(method, vars(ResponseHeaders)[name])
        yield ResponseHeaders, name, method, reason
    method = update_wrapper(headers.init_of_request(), vars(HttpHeaders)["__init__"])
    reason = "a name in `request.META` that has been seen tells its header's"
    yield HttpHeaders, "__init__", method, reason


def _getter(find: Callable[[Any, Any, Any], Any]) -> Any:
    # A function, as the one that is inherited: a mock that is specified by the class
    # would take another's first parameter for the key.
    def get(self: Any, key: Any, default: Any = None) -> Any:
        return find(self, key, default)

    return get


def _of_responses(methods: Any) -> Iterator[tuple[Any, str, Any, str]]:
    reason = "a response is made in a step"
    kinds = HttpResponseBase, HttpResponse, JsonResponse
    for kind, method in zip(kinds, methods.init_methods(), strict=True):
        before = vars(kind)["__init__"]
        yield kind, "__init__", update_wrapper(method, before), reason
    charset = cast("property", vars(HttpResponseBase)["charset"])
    read = update_wrapper(methods.charset_reader(), cast("Any", charset.fget))
    reason = "a type of content that has been seen tells its charset"
    yield HttpResponseBase, "charset", charset.getter(read), reason
    content = cast("property", vars(HttpResponse)["content"])
    put = update_wrapper(methods.content_setter(content), cast("Any", content.fset))
    reason = "text and bytes become the content in a step"
    yield HttpResponse, "content", content.setter(put), reason


def _texts() -> Any:
    """Return what makes the texts of JSON responses, None where it may be another."""
    names = vars(json.encoder)
    own = [
        vars(_json).get(name) for name in ("make_encoder", "encode_basestring_ascii")
    ]
    if not is_own(json, "dumps") or own != [names.get(name) for name in OF_JSON]:
        return None

    def ask() -> bool:
        watch.look()
        return _is_plain_encoder()

    watch = _native.rows.ClassWatch(DjangoJSONEncoder, asked=ask, names=(OF_ENCODER,))
    return _native.rows.JSONTexts(DjangoJSONEncoder, watch, vars(json), names)


def _is_plain_encoder() -> bool:
    """Tell whether Django's encoder is Python's, as it was, with a `default()`."""
    own, base = vars(DjangoJSONEncoder), vars(JSONEncoder)
    methods = "__init__", "encode", "iterencode"
    return (
        DjangoJSONEncoder.__mro__ == (DjangoJSONEncoder, JSONEncoder, object)
        and is_like(DjangoJSONEncoder, DjangoJSONEncoder, ("default",))
        and not any(name in own for name in OF_ENCODER if name != "default")
        and all(inside(base[name], JSONEncoder, name) is base[name] for name in methods)
        and "__new__" not in base
        and (base["item_separator"], base["key_separator"]) == (", ", ": ")
    )

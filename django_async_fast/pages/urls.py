"""Which view a path is for, and which path a view is at, by Django's own patterns.

A page asks all patterns before its own, each with some calls, and those in an
`include()` twice. Each link on it makes a regular expression's text, and searches.
"""

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from django import urls
from django.template import defaulttags
from django.urls import base, converters, resolvers
from django.utils import html, translation
from django.utils.datastructures import MultiValueDict
from django.utils.safestring import SafeString
from django.utils.translation import trans_null, trans_real

from .. import _native
from ..unpatched import Unpatched, UnpatchedFunctions, is_like
from . import templates

OF_INSTANCES = "__getattribute__", "__getattr__"
OF_PATTERN = "resolve", "pattern", "callback", "default_args", "name"
OF_RESOLVER = (
    *("_extend_tried", "_join_route", "pattern", "url_patterns", "default_kwargs"),
    *("app_name", "namespace"),
)
OF_ROUTE = "match", "__str__", "_route", "_is_endpoint", "converters", "name"
OF_REGEX = "match", "__str__", "_regex", "_is_endpoint", "name"

# With these what a pattern has of its own is not what it is asked for.
OF_DESCRIPTOR = "__set__", "__delete__"
# What is called between a view's name and its path.
_OF_REVERSING = (
    (resolvers, "quote escape_leading_slashes get_language"),
    (re, "search escape"),
    (base, "get_urlconf get_resolver get_script_prefix"),
    *((each, "get_language") for each in (translation, trans_real, trans_null)),
)
_OF_NODES = (urls, "reverse"), (defaulttags, "conditional_escape"), (html, "escape")


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield what is replaced: owner, name, replacement, reason."""
    yield from _of_paths()
    yield from _of_views()


def _of_paths() -> Iterator[tuple[Any, str, Any, str]]:
    owner, name = resolvers.URLResolver, "resolve"
    kinds = resolvers.RoutePattern, resolvers.RegexPattern
    regexes = [type(vars(kind)["regex"]) for kind in kinds]
    if not is_like(owner, owner, (name,)) or any(
        each.__module__ != resolvers.__name__ or hasattr(each, "__set__")
        for each in regexes
    ):
        return
    match = resolvers.ResolverMatch
    unpatched = Unpatched(
        *_asked(resolvers.URLPattern, *OF_PATTERN),
        *_asked(owner, *OF_RESOLVER),
        *_asked(resolvers.RoutePattern, *OF_ROUTE),
        *_asked(resolvers.RegexPattern, *OF_REGEX),
        *(each for kind in regexes for each in _asked(kind, *OF_DESCRIPTOR)),
        *_asked(match, "__init__", "__new__", "__setattr__", *_native.rows.MATCH_NAMES),
        *_asked(converters.IntConverter, "to_python"),
        *_asked(converters.SlugConverter, "to_python"),
        *_asked(converters.PathConverter, "to_python"),
    )
    patterns = _native.rows.UrlPatterns(
        owner.resolve,
        unpatched.watch,
        names=vars(resolvers),
        converters=vars(converters),
        by_regex="_route" not in resolvers.RoutePattern.match.__code__.co_names,
    )
    yield owner, name, patterns.method(), "a path's patterns are asked in one step"


def _of_views() -> Iterator[tuple[Any, str, Any, str]]:
    owner, name = resolvers.URLResolver, "_reverse_with_prefix"
    if not is_like(owner, owner, (name,)):
        return
    reversing = _native.rows.UrlReversing(
        getattr(owner, name),
        _of_reversing().watch,
        _functions(*_OF_REVERSING).watch,
        names=vars(resolvers),
        base=vars(base),
        converters=vars(converters),
        templates=templates.the_methods(),
    )
    yield owner, name, reversing.method(), "a view's path is found in one step"
    node = defaulttags.URLNode
    links = _native.rows.UrlNodes(
        Unpatched(*_asked(node, "render")).watch,
        _functions(*_OF_NODES).watch,
        urls=vars(urls),
        tags=vars(defaulttags),
        templates=templates.the_methods(),
        reversing=reversing,
    )
    yield node, "render", links.method(), "a link of a page is made in one step"


def _of_reversing() -> Unpatched:
    kinds = (
        getattr(converters, f"{kind}Converter")
        for kind in ("Int", "Slug", "Path", "UUID")
    )
    lookups, safe, translated = MultiValueDict, SafeString, trans_real.DjangoTranslation
    return Unpatched(
        *_asked(resolvers.URLResolver, "reverse_dict", "namespace_dict", "app_dict"),
        *(each for kind in kinds for each in _asked(kind, "to_url")),
        (lookups, lookups, ("getlist", "_getlist", "__getitem__", *OF_INSTANCES)),
        (safe, safe, ("__str__",)),
        (translated, translated, ("to_language", "__getattribute__")),
    )


def _functions(*places: tuple[ModuleType, str]) -> UnpatchedFunctions:
    return UnpatchedFunctions(
        *((module, name) for module, names in places for name in names.split())
    )


def _asked(kind: type[Any], *names: str) -> Iterator[tuple[Any, ...]]:
    yield kind, kind, (*names, *OF_INSTANCES)

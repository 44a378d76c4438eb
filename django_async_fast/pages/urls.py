"""Which view a path is for, and which path a view is at, by Django's own patterns.

A page asks all patterns before its own, each with some calls, and those in an
`include()` twice. Each link on it makes a regular expression's text, and searches.
"""

import re
from collections.abc import Iterator
from typing import Any

from django.urls import converters, resolvers
from django.utils.datastructures import MultiValueDict
from django.utils.safestring import SafeString

from .. import _native
from ..unpatched import Unpatched, UnpatchedFunctions, is_like

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
    lookups = MultiValueDict
    unpatched = Unpatched(
        *_asked(owner, "reverse_dict", "_populated"),
        (lookups, lookups, ("getlist", "_getlist", "__getitem__", *OF_INSTANCES)),
        *(
            each
            for kind in ("Int", "Slug", "Path", "UUID")
            for each in _asked(getattr(converters, f"{kind}Converter"), "to_url")
        ),
        (SafeString, SafeString, ("__str__",)),
    )
    functions = UnpatchedFunctions(
        *((resolvers, each) for each in ("quote", "escape_leading_slashes")),
        *((re, each) for each in ("search", "escape")),
    )
    reversing = _native.rows.UrlReversing(
        getattr(owner, name),
        unpatched.watch,
        functions.watch,
        names=vars(resolvers),
        converters=vars(converters),
        safe=SafeString,
    )
    yield owner, name, reversing.method(), "a view's path is found in one step"


def _asked(kind: type[Any], *names: str) -> Iterator[tuple[Any, ...]]:
    yield kind, kind, (*names, *OF_INSTANCES)

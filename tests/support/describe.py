"""All there is to know about a value, in a form that can be compared.

Django's asynchronous twins of a class count as the class.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.core.paginator import Page
from django.db.models import Model, QuerySet
from django.db.models.base import ModelState
from django.db.models.query import RawQuerySet
from django.http import HttpRequest, HttpResponse

try:
    from django.core.paginator import AsyncPage
except ImportError:  # before Django 6.0
    AsyncPage = Page

# Savepoints and cursors are numbered, by thread.
NUMBERED = re.compile(r"\b(s\d+_x\d+|_django_curs_\d+_\w+)\b")
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def described(value: Any, seen: frozenset[int] = frozenset()) -> Any:
    """Describe `value`; instances with attributes, state and cached relations."""
    for kinds, describe in DESCRIPTIONS:
        if isinstance(value, kinds):
            if id(value) in seen:
                return "again"
            return describe(value, seen | {id(value)})
    return _type(value), _text(value)


def _type(value: Any) -> str:
    return type(value).__name__.removeprefix("Async")


def _text(value: Any) -> str:
    return ADDRESS.sub("", repr(value)).replace("Async", "")


def _instance(value: Model, seen: frozenset[int]) -> Any:
    state = value._state
    attributes = [
        (k, described(v, seen)) for k, v in value.__dict__.items() if k != "_state"
    ]
    cached = {k: described(v, seen) for k, v in state.fields_cache.items()}
    return type(value), attributes, described(state, seen), cached


def _state(value: ModelState, seen: frozenset[int]) -> Any:
    mode = getattr(value, "fetch_mode", None)  # Django 6.1
    return type(value), value.db, value.adding, described(mode)


def _queryset(value: Any, seen: frozenset[int]) -> Any:
    """Describe what it has fetched: to look must not fetch."""
    return _type(value), described(value._result_cache, seen)


def _page(value: Any, seen: frozenset[int]) -> Any:
    return value.number, described(value.object_list, seen)


def _request(value: HttpRequest, seen: frozenset[int]) -> Any:
    return described(value.session, seen), described(value.user, seen)


def _response(value: HttpResponse, seen: frozenset[int]) -> Any:
    return value.status_code, value.content


def _session(value: SessionBase, seen: frozenset[int]) -> Any:
    found = getattr(value, "_session_cache", None)
    return value.session_key, described(found, seen), value.accessed, value.modified


def _mapping(value: dict[Any, Any], seen: frozenset[int]) -> Any:
    return type(value), [
        (described(k, seen), described(v, seen)) for k, v in value.items()
    ]


def _sequence(value: Iterable[Any], seen: frozenset[int]) -> Any:
    # A namedtuple class is made anew for each query.
    fields = getattr(value, "_fields", None)
    return _type(value), fields, [described(each, seen) for each in value]


def _set(value: Iterable[Any], seen: frozenset[int]) -> Any:
    return _type(value), sorted(described(each, seen) for each in value)


VIEWS = (type({}.keys()), type({}.values()), type({}.items()))
DESCRIPTIONS: list[tuple[Any, Any]] = [
    (Model, _instance),
    (ModelState, _state),
    ((QuerySet, RawQuerySet), _queryset),
    ((Page, AsyncPage), _page),
    (HttpRequest, _request),
    (HttpResponse, _response),
    (SessionBase, _session),
    (dict, _mapping),
    ((list, tuple, *VIEWS), _sequence),
    ((set, frozenset), _set),
]


def outcome(call: Callable[..., Any], *args: Any) -> Any:
    """Return what a call returns, or the class and the text of its error."""
    try:
        return call(*args)
    except Exception as exc:
        return type(exc), str(exc)


class Queries(list[Any]):
    """`with connection.execute_wrapper(queries):`, and they can be compared."""

    def __call__(self, execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        self.append((NUMBERED.sub("#", sql), described(params)))
        return execute(sql, params, *rest)

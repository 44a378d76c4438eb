"""A queryset that only Django's own methods made is a path in a tree, not a query.

In: a manager's `get_queryset()`. Out: a queryset that remembers a node and its values
instead of a `Query`. Next: `steps` (a method called on it), `execution` (its rows).

Whoever asks for the query (`queryset.query`) is given one that Django's own methods
make of the same steps, and may change it in place: there the path ends.

Key: per model and class of querysets, then one `steps` key after the other. Bound:
the setting `COMPILED_QUERIES`, then all is forgotten. A miss costs Django's way.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from functools import partial
from operator import attrgetter
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models import Lookup, Model, Q, QuerySet, sql
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString

from ... import _native
from . import made_once, verify
from .holes import is_null, punch
from .keys import AGGREGATES, OF_AGGREGATE, PLAIN

# The name under which a queryset keeps its path. It has that or a `_query`.
PATH = "_daf_path"

FRESH = {name: value for name, value in vars(QuerySet()).items() if name != "_query"}
# What Django's `_clone()` hands on, besides the query and the hints.
_KEPT = tuple(
    name
    for name in (
        *("model", "_db", "_sticky_filter", "_for_write", "_iterable_class"),
        *("_prefetch_related_lookups", "_known_related_objects", "_fields"),
        "_fetch_mode",  # Django 6.1
    )
    if name in FRESH
)
# And what a clone has as a new queryset has it.
_NEW = {name: value for name, value in FRESH.items() if name not in (*_KEPT, "_hints")}

# The steps of all querysets, and their keys. Without the core each is made by Django.
KEYS: Any = _native.COMPILED and _native.rows.StepKeys(
    plain=PLAIN,
    model=Model,
    q=Q,
    safe_string=SafeString,
    enum=Enum,
    lazy=SimpleLazyObject,
    aggregates=AGGREGATES,
    of_aggregate=OF_AGGREGATE,
)
STEPS: Any = _native.COMPILED and _native.rows.Steps(
    fresh=FRESH,
    methods=frozenset(dir(QuerySet)),
    new=_NEW,
    kept=_KEPT,
    keys=KEYS,
    learns_at_once=verify.ON,
    is_made_once=made_once.is_made_once,
)

_told = attrgetter(
    *("_iterable_class", "_fields", "_prefetch_related_lookups", "_sticky_filter"),
    *("_known_related_objects", "_deferred_filter", "_defer_next_filter"),
)
_UNTOLD = _told(QuerySet())


def on(queryset: Any) -> Any:
    """Return the path that a queryset is on, None if it has a query."""
    return STEPS.on(queryset) if STEPS else None


def plain(queryset: Any) -> bool:
    """Tell whether a queryset is as Django's managers make it, and told nothing."""
    path = on(queryset)
    return (
        path is not None
        and path.steps is None
        and queryset.__dict__.get("_cloning_enabled", True)
        and _told(queryset) == _UNTOLD
    )


class LazyQuery:
    """`QuerySet._query` where there is none yet: makes it, and ends the path."""

    def __get__(self, queryset: Any, owner: Any = None) -> Any:
        if queryset is None:
            return self
        values = queryset.__dict__
        path = values.get(PATH)
        if path is None:
            # Another thread has made it meanwhile.
            try:
                return values["_query"]
            except KeyError:
                raise AttributeError("_query") from None
        if path.peek is not None:
            return path.peek
        query = path.query or replay(queryset, path)
        if values["_result_cache"] is not None:
            # As it is when its rows have been fetched: with its joins.
            locks, query.select_for_update = query.select_for_update, False
            with suppress(EmptyResultSet, FullResultSet):
                query.get_compiler(queryset.db).as_sql()
            query.select_for_update = locks
        values["_query"] = query
        values.pop(PATH, None)
        return query


def djangos(queryset: Any, path: Any) -> Any:
    """Return a queryset with a query like this one, for Django to make others of."""
    new = object.__new__(type(queryset))
    found = queryset.__dict__.copy()
    found["_query"] = path.query or replay(queryset, path)
    found.pop(PATH, None)
    new.__dict__ = found
    return new


def stays(queryset: Any) -> Any:
    """Return what Django may ask for its query, while `queryset` stays on its path."""
    path, values = on(queryset), queryset.__dict__
    if (
        path is None
        or values["_deferred_filter"] is not None
        or not values.get("_cloning_enabled", True)
    ):
        return queryset
    return djangos(queryset, path)


def peeking(queryset: Any, path: Any) -> Any:
    """Return a queryset whose query may be looked at, and that goes on on the path.

    Raises Refused.
    """
    node = path.node
    if node.peeked is None:
        node.peeked = punch(path.query or replay(queryset, path), node.slots)
    looked = _native.rows.Path(node, path.steps, path.values, path.limits)
    looked.peek = node.peeked
    new = object.__new__(type(queryset))
    new.__dict__ = {**queryset.__dict__, PATH: looked}
    return new


def steps_of(path: Any) -> list[Any]:
    """Return (Django's function, args, kwargs) of each step, from the first one on."""
    steps, step = [], path.steps
    while step is not None:
        steps.append(step[1:])
        step = step[0]
    return steps[::-1]


def replay(queryset: Any, path: Any) -> Any:
    """Return the query that Django's own methods make of the path's steps.

    Its conditions are those that were made when the steps were taken: fields and
    lookups of the project's own may make others of the same values today.
    """
    query: Any = sql.Query(queryset.model)
    if path.steps is None:
        return query
    made = object.__new__(type(queryset))
    made.__dict__ = {
        **FRESH,
        "model": queryset.model,
        "_db": queryset._db,
        "_hints": queryset._hints,
        "_known_related_objects": {},
        "_query": query,
    }
    if any(isinstance(value, Lookup) for value in path.values):
        query.build_lookup = _kept_lookups(query.build_lookup, path)
    # Nobody else has it: each step may change it in its place.
    query.clone = partial(_itself, query)
    for function, args, kwargs in steps_of(path):
        made = function(made, *args, **kwargs)
    found = made.query
    for name in ("build_lookup", "clone"):
        vars(found).pop(name, None)
    return found


def _itself(query: Any) -> Any:
    # What a copy finds out anew.
    vars(query).pop("base_table", None)
    query._annotation_select_cache = None
    return query


def _kept_lookups(build: Any, path: Any) -> Any:
    """Return `Query.build_lookup()` that gives the lookups which a path keeps."""
    slots, values = iter(path.node.slots), iter(path.values)

    def build_lookup(lookups: Any, lhs: Any, rhs: Any) -> Any:
        name = lookups[-1] if lookups else ""
        if not is_null(name, rhs) and next(slots, None) is not None:
            value = next(values)
            if isinstance(value, Lookup):
                return value
        return build(lookups, lhs, rhs)

    return build_lookup

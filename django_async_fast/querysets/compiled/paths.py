"""A queryset that only Django's own methods made is a path in a tree, not a query.

In: a manager's `get_queryset()`. Out: a queryset that remembers a node and its values
instead of a `Query`. Next: `steps` (a method called on it), `execution` (its rows).

Whoever asks for the query (`queryset.query`) is given one that Django's own methods
make of the same steps, and may change it in place: there the path ends.

Key: per model and class of querysets, then one `steps` key after the other. Bound:
the setting `COMPILED_QUERIES`, then all is forgotten. A miss costs Django's way.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models import QuerySet, sql

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

# (the step before, Django's function, its args and kwargs)
Step = tuple[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Path:
    """How a queryset was made: where in the tree it is, and with which values."""

    __slots__ = ("fresh", "limits", "node", "peek", "query", "steps", "values")

    def __init__(
        self,
        node: Any,
        steps: Step | None,
        values: tuple[Any, ...],
        limits: tuple[int, int | None] | None = None,
        query: Any = None,
        fresh: bool = False,
    ) -> None:
        self.node = node
        self.steps = steps
        # For each hole of the node, what its `made()` has returned.
        self.values = values
        # The slice: from where, to where.
        self.limits = limits
        # The query, where Django has made it already. It is this queryset's own.
        self.query = query
        # Whether this is the first time that somebody gets here.
        self.fresh = fresh
        # A query without values, to be looked at only.
        self.peek: Any = None


_told = attrgetter(
    *("_iterable_class", "_fields", "_prefetch_related_lookups", "_sticky_filter"),
    *("_known_related_objects", "_deferred_filter", "_defer_next_filter"),
)
_UNTOLD = _told(QuerySet())


def on(queryset: Any) -> Path | None:
    """Return the path that a queryset is on, None if it has a query."""
    values = queryset.__dict__
    path: Path | None = values.get(PATH)
    # It may have been given a query since.
    return None if path is None or "_query" in values else path


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
            with suppress(EmptyResultSet, FullResultSet):
                query.get_compiler(queryset.db).as_sql()
        values["_query"] = query
        values.pop(PATH, None)
        return query


def copy(queryset: Any, path: Path) -> Any:
    """Return what Django's `_clone()` would, on `path`."""
    values = queryset.__dict__
    new = object.__new__(type(queryset))
    if len(values) == len(FRESH) + 1:
        found = values.copy()
        found.update(_NEW)
    else:  # somebody has given it attributes of their own
        found = FRESH.copy()
        for name in _KEPT:
            found[name] = values[name]
    found["_hints"] = values["_hints"] or {}
    found[PATH] = path
    new.__dict__ = found
    return new


def begin(kind: Any, model: Any, db: Any, hints: Any, node: Any) -> Any:
    """Return what `kind(model=model, using=db, hints=hints)` would, on a path."""
    new = object.__new__(kind)
    found = FRESH.copy()
    found["model"] = model
    found["_db"] = db
    found["_hints"] = hints or {}
    found["_known_related_objects"] = {}
    found[PATH] = Path(node, None, ())
    new.__dict__ = found
    return new


def djangos(queryset: Any, path: Path) -> Any:
    """Return a queryset with a query like this one, for Django to make others of."""
    new = object.__new__(type(queryset))
    found = queryset.__dict__.copy()
    found["_query"] = path.query or replay(queryset, path)
    found.pop(PATH, None)
    new.__dict__ = found
    return new


def peeking(queryset: Any, path: Path) -> Any:
    """Return a queryset whose query may be looked at, and that goes on on the path."""
    looked = Path(path.node, path.steps, path.values, path.limits)
    looked.peek = path.node.peek(queryset, path)
    new = object.__new__(type(queryset))
    new.__dict__ = {**queryset.__dict__, PATH: looked}
    return new


def replay(queryset: Any, path: Path) -> Any:
    """Return the query that Django's own methods make of the path's steps."""
    steps, step = [], path.steps
    while step is not None:
        steps.append(step)
        step = step[0]
    made = object.__new__(type(queryset))
    made.__dict__ = {
        **FRESH,
        "model": queryset.model,
        "_db": queryset._db,
        "_hints": queryset._hints,
        "_known_related_objects": {},
        "_query": sql.Query(queryset.model),
    }
    for _, function, args, kwargs in reversed(steps):
        made = function(made, *args, **kwargs)
    return made.query

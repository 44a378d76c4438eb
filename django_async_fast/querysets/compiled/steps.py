"""Django's methods that make a queryset of another, as steps of a path.

In: a queryset on a path, the method's arguments. Out: a queryset on a longer path, or
what Django's method returns. Next: `execution`.

The first time it is Django's way and a note; the second, Django's way, and what it did
is learnt; from the third, a look in the tree. Errors come where Django raises them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import QuerySet
from django.db.models.fields import related_descriptors
from django.db.models.manager import BaseManager
from django.db.models.query_utils import RegisterLookupMixin

from . import keys, tree, verify
from .holes import Missed, found
from .keys import Items, Refused
from .paths import FRESH, PATH, LazyQuery, Path, begin, copy, djangos, on, peeking


def follow(
    queryset: Any,
    path: Path,
    function: Callable[..., Any],
    key: Any,
    items: Items,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    may_change: bool = False,
) -> Any:
    """Return the queryset after a step, None where this one is Django's to do.

    Raises what Django raises.
    """
    node = path.node
    child = node.children.get(key)
    if path.limits is not None or not queryset.__dict__.get("_cloning_enabled", True):
        return None
    if child is None:
        if path.fresh or verify.ON or node.has_seen(key):
            return _learn(
                queryset, path, function, key, items, args, kwargs, may_change
            )
        return None
    if child.why_not:
        return None
    try:
        values = tuple([hole.made(items[i][1]) for i, hole in child.own])
    except Missed:
        return None
    if may_change:
        args, kwargs = keys.kept(args, kwargs)
    step = path.steps, function, args, kwargs
    new = copy(queryset, Path(child, step, path.values + values))
    if child.sets:
        new.__dict__.update(child.sets)
    return new


def _learn(
    queryset: Any,
    path: Path,
    function: Callable[..., Any],
    key: Any,
    items: Items,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    may_change: bool,
) -> Any:
    before = djangos(queryset, path)
    result = function(before, *args, **kwargs)
    try:
        child = _child(path.node, before, result, items)
        values = tuple([hole.made(items[i][1]) for i, hole in child.own])
    except Missed:
        return result
    except Exception as refused:
        # Whatever a value's own lookup raises: Django has made another of it.
        child = tree.Node((), str(refused))
    path.node.children[key] = child
    tree.grown()
    if child.why_not:
        tree.counters.refused += 1
        return result
    if may_change:
        args, kwargs = keys.kept(args, kwargs)
    step = path.steps, function, args, kwargs
    query = result.__dict__["_query"]
    result.__dict__[PATH] = Path(
        child, step, path.values + values, None, query, fresh=True
    )
    result.__dict__.pop("_query")
    return result


def _child(node: tree.Node, before: Any, result: Any, items: Items) -> tree.Node:
    if type(result) is not type(before) or "_query" not in result.__dict__:
        raise Refused(f"it makes a {type(result).__name__}")
    wrapper = connections[before._db or DEFAULT_DB_ALIAS]
    added = list(found(before._query.where, result._query.where, items, wrapper))
    child = tree.Node((*node.slots, *added))
    places = [
        i for i, (name, value) in enumerate(items) if not _makes_none(name, value)
    ]
    child.own = tuple(
        [(i, hole) for i, hole in zip(places, added, strict=True) if hole is not None]
    )
    for name in ("_fields", "_iterable_class"):
        if getattr(result, name) is not getattr(before, name):
            child.sets[name] = getattr(result, name)
    return child


def _makes_none(name: str, value: Any) -> bool:
    return value is None or (type(value) is bool and name.endswith("isnull"))


def path_of(queryset: Any) -> Path | None:
    """Return the path that a queryset is on, None if it has a query."""
    path = on(queryset)
    if path is None:
        return None
    values = queryset.__dict__
    if values["_deferred_filter"] is not None:
        return _filtered(queryset, path)
    return None if values["_sticky_filter"] else path


def _filtered(queryset: Any, path: Path) -> Path | None:
    """Apply the filter that a related manager has put off, in the queryset's place."""
    negate, args, kwargs = queryset.__dict__["_deferred_filter"]
    try:
        key, items, _ = keys.of_conditions(f"late {negate}", args, kwargs)
    except Refused:
        return None
    queryset.__dict__["_deferred_filter"] = None
    given = negate, *keys.kept(args, kwargs)
    filtered: Any = None
    try:
        filtered = follow(queryset, path, _filter, key, items, given, {})
    finally:
        if filtered is None:
            queryset.__dict__["_deferred_filter"] = negate, args, kwargs
    return None if filtered is None else _moved(queryset, filtered)


def _moved(queryset: Any, found: Any) -> Path | None:
    """Put `queryset` where `found` is; return its path, None if that is a query."""
    path: Path | None = found.__dict__.get(PATH)
    if path is None:
        queryset.__dict__["_query"] = found._query
        queryset.__dict__.pop(PATH)
    else:
        queryset.__dict__[PATH] = path
    return path


def _filter(queryset: Any, negate: bool, args: Any, kwargs: Any) -> Any:
    """Do in place what `QuerySet.query` does with a filter that was put off."""
    new = djangos_copy(queryset)
    new._filter_or_exclude_inplace(negate, args, kwargs)
    return new


def djangos_copy(queryset: Any) -> Any:
    """Return a queryset with a copy of the query of `queryset`."""
    new = object.__new__(type(queryset))
    new.__dict__ = {**queryset.__dict__, "_query": queryset._query.clone()}
    return new


# ----- Django's methods


def _djangos_way(method: Any, queryset: Any, args: Any, kwargs: Any) -> Any:
    path = on(queryset)
    if (
        path is None
        or queryset.__dict__["_deferred_filter"] is not None
        or not queryset.__dict__.get("_cloning_enabled", True)
    ):
        return method.__wrapped__(queryset, *args, **kwargs)
    # The queryset itself stays on its path.
    return method.__wrapped__(djangos(queryset, path), *args, **kwargs)


def _conditions(name: str, negate: bool) -> Any:
    django = getattr(QuerySet, name)

    @wraps(django)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if on(self) is not None:
            if self.__dict__["_defer_next_filter"]:
                if not _may_wait(self):
                    return method.__wrapped__(self, *args, **kwargs)
                # As `_filter_or_exclude()` does, without a look at the query.
                new = self._chain()
                self._defer_next_filter = False
                new._deferred_filter = negate, args, kwargs
                return new
            path = path_of(self)
            if path is not None:
                try:
                    key, items, may_change = keys.of_conditions(name, args, kwargs)
                except Refused:
                    pass
                else:
                    new = follow(
                        *(self, path, method.__wrapped__, key, items, args, kwargs),
                        may_change,
                    )
                    if new is not None:
                        return new
        return _djangos_way(method, self, args, kwargs)

    return method


def _may_wait(queryset: Any) -> bool:
    values = queryset.__dict__
    return values[PATH].limits is None and values["_deferred_filter"] is None


def _names(name: str, needs_names: bool = False, of: Any = keys.of_names) -> Any:
    django = getattr(QuerySet, name)

    @wraps(django)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if PATH in self.__dict__ and (args or not needs_names):
            path = path_of(self)
            if path is not None:
                try:
                    key = of(name, args, kwargs)
                except Refused:
                    pass
                else:
                    new = follow(self, path, method.__wrapped__, key, [], args, kwargs)
                    if new is not None:
                        return new
        return _djangos_way(method, self, args, kwargs)

    return method


METHODS: dict[str, Any] = {
    "filter": _conditions("filter", negate=False),
    "exclude": _conditions("exclude", negate=True),
    "order_by": _names("order_by"),
    "select_related": _names("select_related", needs_names=True),
    "values": _names("values"),
    "values_list": _names("values_list", needs_names=True),
    "only": _names("only"),
    "defer": _names("defer", needs_names=True),
    "distinct": _names("distinct", of=keys.of_nothing),
    "reverse": _names("reverse"),
    "annotate": _names("annotate", of=keys.of_aggregates),
}


@wraps(QuerySet.__getitem__)
def getitem(self: Any, k: Any) -> Any:
    path = path_of(self) if PATH in self.__dict__ else None
    if path is not None and self._result_cache is None and path.limits is None:
        if type(k) is slice and k.step is None:
            new = sliced(self, path, k.start, k.stop)
            if new is not None:
                return new
        elif type(k) is int and k >= 0:
            new = sliced(self, path, k, k + 1)
            if new is not None:
                new._fetch_all()
                return new._result_cache[0]
    return getitem.__wrapped__(self, k)


def sliced(queryset: Any, path: Path, low: Any, high: Any) -> Any:
    """Return a slice of a queryset, None where it is Django's to make."""
    if low is None:
        low = 0
    if type(low) is not int or low < 0:
        return None
    if high is not None and (type(high) is not int or high <= low):
        return None
    if not queryset.__dict__.get("_cloning_enabled", True):
        return None
    key = "slice", low == 0, high is None
    child = path.node.children.get(key)
    if child is None:
        child = path.node.children[key] = tree.Node(path.node.slots)
        tree.grown()
    step: Any = path.steps, getitem.__wrapped__, (slice(low, high),), {}
    limits = low, high
    return copy(
        queryset, Path(child, step, path.values, limits, None, fresh=path.fresh)
    )


@wraps(QuerySet._clone)
def clone(self: Any) -> Any:
    path = on(self)
    if path is None or self.__dict__["_deferred_filter"] is not None:
        return clone.__wrapped__(self)
    return copy(self, Path(path.node, path.steps, path.values, path.limits))


def _looking(name: str) -> Any:
    """Return Django's method, which looks at the query and makes other querysets."""
    django = getattr(QuerySet, name)

    @wraps(django)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        path = path_of(self) if PATH in self.__dict__ else None
        if path is None or self._result_cache is not None:
            call = [kwargs, args, self]
        else:
            try:
                call = [kwargs, args, peeking(self, path)]
            except Refused:
                call = [kwargs, args, self]
        del self, args, kwargs, path
        return method.__wrapped__(call.pop(), *call.pop(), **call.pop())

    return method


LOOKING: dict[str, Any] = {
    name: _looking(name) for name in ("first", "last", "in_bulk", "prefetch_related")
}


@wraps(QuerySet.__getstate__)
def getstate(self: Any) -> Any:
    self._fetch_all()
    _ = self.query  # what is pickled has one
    return getstate.__wrapped__(self)


@wraps(QuerySet.__deepcopy__)
def deepcopy(self: Any, memo: Any) -> Any:
    _ = self.query
    return deepcopy.__wrapped__(self, memo)


@wraps(BaseManager.get_queryset)
def get_queryset(self: Any) -> Any:
    kind, model = self._queryset_class, self.model
    node = tree.root(kind, model)
    if node is None:
        return get_queryset.__wrapped__(self)
    return begin(kind, model, self._db, self._hints, node)


@wraps(related_descriptors._filter_prefetch_queryset)
def filter_prefetch_queryset(queryset: Any, field_name: str, instances: Any) -> Any:
    path = path_of(queryset) if PATH in queryset.__dict__ else None
    if path is not None and type(instances) is list:
        with suppress(Refused):
            conditions = {f"{field_name}__in": instances}
            key, items, _ = keys.of_conditions("prefetch", (), conditions)
            given = field_name, instances
            # In place, where cloning is switched off.
            cloning = queryset.__dict__.pop("_cloning_enabled", True)
            try:
                new = follow(queryset, path, _filter_prefetch, key, items, given, {})
            finally:
                if "_cloning_enabled" in FRESH:
                    queryset.__dict__["_cloning_enabled"] = cloning
            if new is not None:
                _moved(queryset, new)
                return queryset
    return filter_prefetch_queryset.__wrapped__(queryset, field_name, instances)


def _filter_prefetch(queryset: Any, field_name: str, instances: Any) -> Any:
    new = djangos_copy(queryset)
    return filter_prefetch_queryset.__wrapped__(new, field_name, instances)


class Registering:
    """`register_lookup()` of a class and of a field: what was learnt holds no more."""

    def __init__(self, name: str) -> None:
        self.__wrapped__ = vars(RegisterLookupMixin)[name]

    def __get__(self, field: Any, kind: Any = None) -> Any:
        django = self.__wrapped__.__get__(field, kind)

        @wraps(django.func)
        def register(*args: Any, **kwargs: Any) -> Any:
            try:
                return django(*args, **kwargs)
            finally:
                tree.clear()

        return register


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield (owner, name, replacement, reason) for `seams/seam_list.py`."""
    begins = "a queryset begins as a path, without a query"
    yield BaseManager, "get_queryset", get_queryset, begins
    asked = "who asks for a query is given it, and the path ends"
    yield QuerySet, "_query", LazyQuery(), asked
    yield QuerySet, "__getstate__", getstate, asked
    yield QuerySet, "__deepcopy__", deepcopy, asked
    step = "what a method makes of the query is known when it was called before"
    for name, method in METHODS.items():
        yield QuerySet, name, method, step
    yield QuerySet, "__getitem__", getitem, step
    yield QuerySet, "_clone", clone, "a copy of a path is a path"
    name = "_filter_prefetch_queryset"
    yield related_descriptors, name, filter_prefetch_queryset, step
    learnt = "what was learnt of lookups holds no more"
    for name in ("register_lookup", "_unregister_lookup"):
        yield RegisterLookupMixin, name, Registering(name), learnt
    looks = "it looks at the query of a path, which goes on"
    for name, method in LOOKING.items():
        yield QuerySet, name, method, looks

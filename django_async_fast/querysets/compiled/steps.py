"""A step of a path, learnt from what Django's method does.

In: a queryset on a path, and the call of a method. Out: a queryset on a longer path, or
what Django's method returns. Next: `execution`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections

from ... import _native
from . import tree
from .holes import added_lookups, is_null, is_written_by_django
from .keys import Items, Refused
from .paths import KEYS, PATH, STEPS, djangos, on


class Step(NamedTuple):
    """What a method was called with, and the key that says what of it is a value."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    key: Any
    items: Items
    may_change: bool


def take_first(queryset: Any, path: Any, step: Step) -> Any:
    """Let Django take a step, and learn what it did; return its result."""
    before = djangos(queryset, path)
    result = step.function(before, *step.args, **step.kwargs)
    try:
        child, lookups = _child(path.node, before, result, step.items)
        made = [
            hole.kept(step.items[i][1], lookup)
            for (i, hole), lookup in zip(child.own, lookups, strict=True)
        ]
    except Exception as refused:
        # Whatever a value's own lookup raises: Django has made another of it.
        child = tree.new_node((), path.node.epoch, str(refused) or repr(refused))
        made = []
    if None in made:
        return result
    path.node.children[step.key] = child
    tree.grown()
    if child.why_not:
        tree.counters.refused += 1
        return result
    args, kwargs = step.args, step.kwargs
    if step.may_change:
        args, kwargs = KEYS.kept_values(args, kwargs)
    steps = path.steps, step.function, args, kwargs
    query = result.__dict__["_query"]
    result.__dict__[PATH] = _native.rows.Path(
        child, steps, path.values + tuple(made), None, query, fresh=True
    )
    result.__dict__.pop("_query")
    return result


def _child(node: Any, before: Any, result: Any, items: Items) -> tuple[Any, list[Any]]:
    """Return the node of a step, and the lookups of its holes. Raises Refused."""
    if type(result) is not type(before) or "_query" not in result.__dict__:
        raise Refused(f"it makes a {type(result).__name__}")
    wrapper = connections[before._db or DEFAULT_DB_ALIAS]
    where = before._query.where, result._query.where
    found = [*added_lookups(*where, items, wrapper)]
    holes = [hole for hole, _ in found]
    query = result._query
    if not all(map(is_written_by_django, (*query.select, *query.annotations.values()))):
        raise Refused("what the project's own code names may be another each time")
    # All may have been forgotten meanwhile, by another thread: this, too.
    child = tree.new_node((*node.slots, *holes), node.epoch)
    places = [i for i, item in enumerate(items) if not is_null(*item)]
    # As Django's query tells it when it is chained.
    child.sticky = query.filter_is_sticky
    child.own = tuple(
        [(i, hole) for i, hole in zip(places, holes, strict=True) if hole is not None]
    )
    child.sets = {
        name: getattr(result, name)
        for name in ("_fields", "_iterable_class", "_for_write")
        if getattr(result, name) is not getattr(before, name)
    } or None
    return child, [lookup for hole, lookup in found if hole is not None]


def path_of(queryset: Any) -> Any:
    """Return the path that a queryset is on, None if it has a query."""
    path = on(queryset)
    if path is None:
        return None
    values = queryset.__dict__
    if values["_deferred_filter"] is not None:
        return _filtered(queryset, path)
    return None if values["_sticky_filter"] else path


def _filtered(queryset: Any, path: Any) -> Any:
    """Apply the filter that a related manager has put off, in the queryset's place."""
    negate, args, kwargs = queryset.__dict__["_deferred_filter"]
    name = "late exclude" if negate else "late filter"
    found = STEPS.put_off(queryset, name, _filter, negate, args, kwargs)
    if type(found) is tuple:
        queryset.__dict__["_deferred_filter"] = None
        try:
            key, items, _ = found
            given = negate, *KEYS.kept_values(args, kwargs)
            step = Step(_filter, given, {}, key, items, may_change=False)
            found = take_first(queryset, path, step)
        finally:
            queryset.__dict__["_deferred_filter"] = negate, args, kwargs
    if found is None:
        return None
    queryset.__dict__["_deferred_filter"] = None
    return move(queryset, found)


def move(queryset: Any, found: Any) -> Any:
    """Put `queryset` where `found` is; return its path, None if that is a query."""
    path = found.__dict__.get(PATH)
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


if STEPS:
    STEPS.late_filter = _filter


def djangos_copy(queryset: Any) -> Any:
    """Return a queryset with a copy of the query of `queryset`."""
    new = object.__new__(type(queryset))
    new.__dict__ = {**queryset.__dict__, "_query": queryset._query.clone()}
    return new


def has_put_off(queryset: Any) -> bool:
    """Tell whether a queryset on a path has a filter of its manager's to be applied."""
    values = queryset.__dict__
    return PATH in values and values["_deferred_filter"] is not None

"""Django's methods that make a queryset of another, as steps of a path.

In: a queryset on a path, the method's arguments. Out: a queryset on a longer path, or
what Django's method returns. Next: `steps` (not known yet), `execution`.

The first time it is Django's way and a note; the second, Django's way, and what it did
is learnt; from the third, a look in the tree. Errors come where Django raises them.
"""

from collections.abc import Iterator
from functools import wraps
from typing import Any

from django.db.models import QuerySet
from django.db.models.fields import related_descriptors
from django.db.models.manager import BaseManager
from django.db.models.query_utils import RegisterLookupMixin

from ... import _native
from ...unpatched import is_like
from .. import changes
from . import tree
from .keys import Refused
from .paths import (
    FRESH,
    KEYS,
    PATH,
    STEPS,
    LazyQuery,
    djangos,
    on,
    peeking,
    stays,
    steps_of,
)
from .steps import Step, djangos_copy, has_put_off, move, path_of, take_first


def _conditions(name: str, negate: bool) -> Any:
    django = getattr(QuerySet, name)

    @wraps(django)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        function = method.__wrapped__
        if PATH not in self.__dict__:
            return function(self, *args, **kwargs)
        found = STEPS.conditions(self, name, function, args, kwargs)
        if found is None and on(self) is not None:
            if self.__dict__["_defer_next_filter"]:
                if not _may_wait(self):
                    return function(self, *args, **kwargs)
                # As `_filter_or_exclude()` does, without a look at the query.
                new = _stuck(self)
                if new is None:
                    new = self._chain()
                self._defer_next_filter = False
                new._deferred_filter = negate, args, kwargs
                return new
            if _is_there_now(self):
                found = STEPS.conditions(self, name, function, args, kwargs)
        if type(found) is tuple:
            found = take_first(self, on(self), Step(function, args, kwargs, *found))
        return function(stays(self), *args, **kwargs) if found is None else found

    return method


def _is_there_now(queryset: Any) -> bool:
    """Put a queryset where its next step may be known; tell whether it was not there.

    Where all was forgotten, or the filter of a related manager is not applied yet.
    """
    if STEPS.is_forgotten(queryset):
        return _is_found_again(queryset)
    return has_put_off(queryset) and path_of(queryset) is not None


def _may_wait(queryset: Any) -> bool:
    values = queryset.__dict__
    return values[PATH].limits is None and values["_deferred_filter"] is None


def _names(name: str, needs_names: bool = False, step: Any = None) -> Any:
    django = getattr(QuerySet, name)
    step = step or (STEPS and STEPS.names)

    @wraps(django)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        found, function = None, method.__wrapped__
        if PATH not in self.__dict__:
            return function(self, *args, **kwargs)
        if args or not needs_names:
            found = step(self, name, function, args, kwargs)
            if found is None and _is_there_now(self):
                found = step(self, name, function, args, kwargs)
            if type(found) is tuple:
                found = take_first(self, on(self), Step(function, args, kwargs, *found))
        return function(stays(self), *args, **kwargs) if found is None else found

    return method


def _nothing(queryset: Any, name: str, function: Any, args: Any, kwargs: Any) -> Any:
    """Take the step of a method that is called without arguments."""
    if args or kwargs or path_of(queryset) is None:
        return None
    return STEPS.step(queryset, function, (name,), None, args, kwargs, False)


def _locks(queryset: Any, name: str, function: Any, args: Any, kwargs: Any) -> Any:
    """Take the step of `select_for_update()`, its options given by their names."""
    if args or path_of(queryset) is None:
        return None
    for each in kwargs.values():
        names = each if type(each) is tuple else ()
        if type(each) not in (bool, tuple) or any(type(of) is not str for of in names):
            return None
    key = name, tuple(kwargs.items())
    return STEPS.step(queryset, function, key, None, args, kwargs, False)


def _selects(queryset: Any, name: str, function: Any, args: Any, kwargs: Any) -> Any:
    """Take the step of `extra(select=...)`, as prefetches have it, without values."""
    if args or kwargs.keys() != {"select"} or type(kwargs["select"]) is not dict:
        return None
    if path_of(queryset) is None:
        return None
    selected = kwargs["select"]
    if any(type(each) is not str or "%" in each for each in selected.values()):
        return None
    key = name, tuple(selected.items())
    kwargs = {"select": selected.copy()}
    return STEPS.step(queryset, function, key, None, args, kwargs, False)


def _in_place(method: Any) -> Any:
    """Return a method that is also called where cloning is switched off."""

    @wraps(method.__wrapped__)
    def in_place(self: Any, *args: Any, **kwargs: Any) -> Any:
        if PATH not in self.__dict__ or self.__dict__.get("_cloning_enabled", True):
            return method(self, *args, **kwargs)
        self.__dict__["_cloning_enabled"] = True
        try:
            new = method(self, *args, **kwargs)
        finally:
            self.__dict__["_cloning_enabled"] = False
        move(self, new)
        return self

    return in_place


METHODS: dict[str, Any] = {
    "filter": _conditions("filter", negate=False),
    "exclude": _conditions("exclude", negate=True),
    "order_by": _names("order_by"),
    "select_related": _names("select_related", needs_names=True),
    "values": _names("values"),
    "values_list": _names("values_list", needs_names=True),
    "only": _names("only"),
    "defer": _names("defer", needs_names=True),
    "distinct": _names("distinct", step=_nothing),
    "reverse": _names("reverse"),
    "annotate": _names("annotate", step=STEPS and STEPS.annotated),
    "extra": _in_place(_names("extra", step=_selects)),
    "select_for_update": _names("select_for_update", step=_locks),
}


@wraps(QuerySet.__getitem__)
def getitem(self: Any, k: Any) -> Any:
    if path_of(self) is not None:
        if type(k) is slice and k.step is None:
            new = STEPS.sliced(self, getitem.__wrapped__, k.start, k.stop)
            if new is not None:
                return new
        elif type(k) is int and k >= 0:
            new = STEPS.sliced(self, getitem.__wrapped__, k, k + 1)
            if new is not None:
                new._fetch_all()
                return new._result_cache[0]
    return getitem.__wrapped__(self, k)


_BY_DJANGOS = {method.__wrapped__: method for method in (*METHODS.values(), getitem)}


@wraps(QuerySet._clone)
def clone(self: Any) -> Any:
    new = STEPS.clone(self)
    if new is None and PATH in self.__dict__:
        new = _late_clone(self)
        path = on(self)
        if new is None and path is not None and path.peek is not None:
            self = djangos(self, path)  # what it shows is to be looked at only
    return clone.__wrapped__(self) if new is None else new


def _is_found_again(queryset: Any) -> bool:
    """Put a queryset that is kept on its path, where that has been forgotten.

    Where that is no path any more it is given its query, once for all.
    """
    values = queryset.__dict__
    if (
        not values.get("_cloning_enabled", True)
        or has_put_off(queryset)
        or values["_sticky_filter"]
    ):
        return False
    try:
        found = _again(queryset, values[PATH])
    except Exception:
        # Of values that a field of the project's refuses today.
        found = None
    if found is None:
        _ = queryset._query
        return False
    values[PATH] = found
    return True


def _again(queryset: Any, path: Any) -> Any:
    """Return the path of the same steps, None if one is not known and not learnt.

    Its values are those of the steps as they were taken: of the same arguments a field
    of the project's may make others today.
    """
    kind, model = type(queryset), queryset.model
    node = tree.root(kind, model)
    if node is None:
        return None
    made = STEPS.begin_at(kind, model, queryset._db, queryset._hints, node)
    for function, args, kwargs in steps_of(path):
        if function not in _BY_DJANGOS or on(made) is None:
            return None
        on(made).fresh = True
        made = _BY_DJANGOS[function](made, *args, **kwargs)
    found = on(made)
    if found is None or [*map(type, found.values)] != [*map(type, path.values)]:
        return None
    return _native.rows.Path(found.node, path.steps, path.values, path.limits)


def _late_clone(queryset: Any) -> Any:
    """Return a copy of a queryset whose manager's filter is not applied, or sticks.

    And of one that is kept, when everything has been forgotten.
    """
    if STEPS.is_forgotten(queryset):
        _is_found_again(queryset)
    path = path_of(queryset)
    if path is None or not path.node.sticky:
        return path and STEPS.clone(queryset)
    return _own_step(queryset, clone.__wrapped__, "chain")


def _stuck(queryset: Any) -> Any:
    """Return the queryset of which two filters use the same joins, None for Django's.

    Relations of many to many have that of their own filter and the next one.
    """
    values = queryset.__dict__
    if not values["_sticky_filter"]:
        return None
    # In place, where cloning is switched off.
    cloning = values.get("_cloning_enabled", True)
    if not cloning:
        values["_cloning_enabled"] = True
    try:
        new = (
            _own_step(queryset, _sticky, "sticky")
            if cloning
            else _own_step(queryset, _sticky_in_place, "sticky in place")
        )
    finally:
        if not cloning:
            values["_cloning_enabled"] = False
    if new is None:
        return None
    if not cloning:
        move(queryset, new)
        new = queryset
    new._sticky_filter = False
    return new


def _own_step(queryset: Any, function: Any, name: str) -> Any:
    """Take the step of something that Django's `_chain()` does with the query."""
    new = STEPS.step(queryset, function, (name,), None, (), {}, False)
    if type(new) is tuple:
        step = Step(function, (), {}, *new)
        new = take_first(queryset, on(queryset), step)
    return new


def _sticky(queryset: Any) -> Any:
    new = clone.__wrapped__(queryset)
    new.query.filter_is_sticky = True
    return new


def _sticky_in_place(queryset: Any) -> Any:
    new = djangos_copy(queryset)
    new._query.filter_is_sticky = True
    return new


# What `first()`, `latest()` and their like call, besides what keeps a queryset off its
# path.
_LEADING = (
    *("ordered", "order_by", "reverse", "__getitem__", "__iter__", "_fetch_all"),
    "_earliest",
)


def _leads(queryset: Any) -> bool:
    """Tell whether methods that look at other rows find them where they did before."""
    # A list may be changed in place.
    by_list = type(queryset.model._meta.get_latest_by) is list
    return not by_list and is_like(type(queryset), QuerySet, ("_earliest",))


def looking(name: str, leads: bool = False) -> Any:
    """Return Django's method, which looks at the query and makes other querysets.

    Where it `leads` to the rows of another with the same values, that is noted.
    """
    django = getattr(QuerySet, name)

    @wraps(django)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        path = path_of(self)
        if path is None or self._result_cache is not None:
            call = [kwargs, args, self]
        else:
            try:
                call = [kwargs, args, peeking(self, path)]
                if leads and _leads(self):
                    watches = changes.watches((type(self),), _LEADING)
                    key = _native.rows.lead_of(name, args)
                    on(call[-1]).led = key and (key, path, watches)
            except Refused:
                call = [kwargs, args, self]
        del self, args, kwargs, path
        return method.__wrapped__(call.pop(), *call.pop(), **call.pop())

    return method


LOOKING: dict[str, Any] = {
    name: looking(name) for name in ("in_bulk", "prefetch_related")
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
    new = STEPS.begin(self)
    if new is None and tree.root(self._queryset_class, self.model) is not None:
        new = STEPS.begin(self)
    return get_queryset.__wrapped__(self) if new is None else new


@wraps(related_descriptors._filter_prefetch_queryset)
def filter_prefetch_queryset(queryset: Any, field_name: str, instances: Any) -> Any:
    path = path_of(queryset)
    if path is not None and type(instances) is list:
        conditions = {f"{field_name}__in": instances}
        key, items, _ = KEYS.key_of("prefetch", (), conditions)
        given = field_name, instances
        # In place, where cloning is switched off.
        cloning = queryset.__dict__.pop("_cloning_enabled", True)
        try:
            new = None
            if key is not None:
                new = STEPS.step(
                    queryset, _filter_prefetch, key, items, given, {}, False
                )
            if type(new) is tuple:
                call = Step(_filter_prefetch, given, {}, key, items, may_change=False)
                new = take_first(queryset, path, call)
        finally:
            if "_cloning_enabled" in FRESH:
                queryset.__dict__["_cloning_enabled"] = cloning
        if new is not None:
            move(queryset, new)
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

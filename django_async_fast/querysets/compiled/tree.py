"""The tree of paths: which steps follow one another, and the statements they end in.

Key: the model and the class of querysets, then each step's key (`keys`). Bound: the
setting `COMPILED_QUERIES`, nodes and statements together; then all is forgotten, as
when a setting, a lookup or a model's fields change. A miss costs Django's way.
"""

from __future__ import annotations

from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from django.apps import apps
from django.core.signals import setting_changed
from django.db.models import QuerySet, sql
from django.db.models.query import ModelIterable
from django.db.models.signals import class_prepared
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.where import WhereNode

from ... import conf
from ...unpatched import Unpatched
from . import paths
from .holes import punch

# Keys that were seen once, for each node; then they are forgotten.
SEEN_ONCE = 256

# What is not called here. A class of querysets that has its own is left to it.
_NOT_CALLED = (
    *("__init__", "__getitem__", "__len__", "__iter__", "query", "db", "ordered"),
    *("filter", "exclude", "order_by", "values", "values_list", "annotate", "get"),
    *("select_related", "distinct", "reverse", "only", "defer", "count", "exists"),
    *("_chain", "_clone", "_filter_or_exclude", "_filter_or_exclude_inplace"),
    *("_fetch_all", "_values", "_annotate", "_not_support_combined_queries"),
)

_columns_of = attrgetter("_meta.concrete_fields", "_meta.db_table", "_meta.ordering")


class Node:
    """One way to make a queryset, without its values."""

    __slots__ = (
        *("children", "entries", "holes", "own", "sets", "seen", "slots", "why_not"),
        "_peek",
    )

    def __init__(self, slots: tuple[Any, ...], why_not: str = "") -> None:
        self.children: dict[Any, Node] = {}
        # By kind of statement: an Entry, or in words why there is none.
        self.entries: dict[Any, Any] = {}
        self.seen: dict[Any, None] = {}
        # For each lookup in the WHERE its hole, or None for a constant.
        self.slots = slots
        self.holes = tuple([hole for hole in slots if hole is not None])
        # Of the last step: (the item's position, its hole).
        self.own: tuple[tuple[int, Any], ...] = ()
        # Attributes that the last step gives to its queryset.
        self.sets: dict[str, Any] = {}
        # Why Django does this step each time.
        self.why_not = why_not
        self._peek: Any = None

    def has_seen(self, key: Any) -> bool:
        """Tell whether `key` was asked for before; it is remembered."""
        if key in self.seen:
            self.seen.pop(key, None)
            return True
        if len(self.seen) >= SEEN_ONCE:
            self.seen.clear()
        self.seen[key] = None
        return False

    def peek(self, queryset: Any, path: paths.Path) -> Any:
        """Return the query of such a queryset, without values."""
        if self._peek is None:
            query = path.query or paths.replay(queryset, path)
            self._peek = punch(query, self.slots)
        return self._peek


class _Root:
    """The node of `Model.objects.all()`, and what it was made for."""

    __slots__ = ("columns", "epoch", "node", "unpatched")

    def __init__(self, kind: Any, model: Any) -> None:
        self.node = Node(())
        self.columns = _columns_of(model)
        self.epoch = epoch
        self.unpatched = _unpatched(kind)


@cache
def _unpatched(kind: Any) -> Unpatched:
    return Unpatched(
        (kind, QuerySet, _NOT_CALLED),
        (ModelIterable, ModelIterable),
        (sql.Query, sql.Query),
        (SQLCompiler, SQLCompiler),
        (WhereNode, WhereNode),
    )


class Counters:
    """How the cache does."""

    __slots__ = ("hits", "learnt", "misses", "refused", "size")

    def __init__(self) -> None:
        # Statements filled in; made by Django at their first time; taken down; not
        # to be taken down. Nodes and statements that are kept.
        self.hits = self.misses = self.learnt = self.refused = self.size = 0


class CacheInfo(NamedTuple):
    """What `cache_info()` tells; statements, but for `size`: it has steps too."""

    hits: int
    misses: int
    learnt: int
    refused: int
    size: int
    bound: int


def cache_info() -> CacheInfo:
    """Return how often statements have been filled in, and what is kept."""
    found = {name: getattr(counters, name) for name in Counters.__slots__}
    return CacheInfo(**found, bound=conf.get("COMPILED_QUERIES"))


counters = Counters()
# A new one makes every root old.
epoch = object()


def root(kind: Any, model: Any) -> Node | None:
    """Return the node at which querysets of a class begin, None for Django's way."""
    if model is None:
        return None
    meta = model._meta.__dict__
    try:
        found = meta["_daf_roots"][kind]
    except KeyError:
        if not apps.ready:
            return None
        found = meta.setdefault("_daf_roots", {})[kind] = _Root(kind, model)
    if found.epoch is not epoch or found.columns != _columns_of(model):
        found = meta["_daf_roots"][kind] = _Root(kind, model)
    node: Node = found.node
    return node if found.unpatched.holds() else None


def grown() -> None:
    """Note that the tree has one node or statement more."""
    counters.size += 1
    if counters.size > conf.get("COMPILED_QUERIES"):
        clear()


def clear(**signal: Any) -> None:
    """Forget everything."""
    global epoch
    epoch = object()
    counters.size = 0


setting_changed.connect(clear)
class_prepared.connect(clear)

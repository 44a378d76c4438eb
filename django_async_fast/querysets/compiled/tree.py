"""The tree of paths: which steps follow one another, and the statements they end in.

Key: the model and the class of querysets, then each step's key (`keys`). Bound: the
setting `COMPILED_QUERIES`, nodes, statements and writes of models together; then the
quarter of them is forgotten that was not used for the longest time (`room`). All is
when a setting, a lookup or a model's fields change. A miss costs Django's way.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from django.apps import apps
from django.core.signals import setting_changed
from django.db.models import QuerySet, sql
from django.db.models.expressions import Col
from django.db.models.query import ModelIterable
from django.db.models.signals import class_prepared
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.datastructures import BaseTable, Join
from django.db.models.sql.where import WhereNode

from ... import _native, conf
from ...unpatched import Unpatched
from .. import changes
from . import memory, room
from .paths import STEPS

# What is not called here. A class of querysets that has its own is left to it.
_NOT_CALLED = (
    *("__new__", "__setattr__", "__getattribute__", "_db", "_hints", "_for_write"),
    *("__init__", "__getitem__", "__len__", "__iter__", "query", "db", "ordered"),
    *("filter", "exclude", "order_by", "values", "values_list", "annotate", "get"),
    *("select_related", "distinct", "reverse", "only", "defer", "count", "exists"),
    *("_chain", "_clone", "_filter_or_exclude", "_filter_or_exclude_inplace"),
    *("_fetch_all", "_values", "_annotate", "_not_support_combined_queries"),
    "_check_ordering_first_last_queryset_aggregation",
)

# How many classes of querysets a model is remembered with; more are made at run time,
# and nobody comes back to those.
_CLASSES = 16


def new_node(slots: tuple[Any, ...], epoch: object, why_not: str = "") -> Any:
    """Return a node that has no children yet."""
    node = _native.rows.Node(slots, why_not, epoch)
    node.used = STEPS.clock
    return node


@lru_cache(maxsize=64)
def _unpatched(kind: Any) -> Unpatched:
    return Unpatched(
        (kind, QuerySet, _NOT_CALLED),
        (ModelIterable, ModelIterable),
        (sql.Query, sql.Query),
        (SQLCompiler, SQLCompiler),
        (WhereNode, WhereNode),
        (Col, Col, ("__init__", "as_sql", "get_db_converters", "select_format")),
        *((each, each) for each in (BaseTable, Join)),
    )


class Counters:
    """How the cache does."""

    __slots__ = ("forgotten", "learnt", "misses", "refused")

    def __init__(self) -> None:
        # Statements made by Django at their first time; taken down; not to be taken
        # down; forgotten for want of room.
        self.misses = self.learnt = self.refused = self.forgotten = 0


class CacheInfo(NamedTuple):
    """What `cache_info()` tells.

    `entries` are statements, those of model writes too; `size` are these and the steps
    that lead to them, up to `bound`; `bytes` is how much memory they take, about.
    """

    hits: int
    misses: int
    learnt: int
    refused: int
    forgotten: int
    entries: int
    bytes: int
    size: int
    bound: int


def cache_info() -> CacheInfo:
    """Return how often statements have been filled in, and what is kept."""
    found = {name: getattr(counters, name) for name in Counters.__slots__}
    items = room.items()
    return CacheInfo(
        **found,
        hits=STEPS.hits,
        entries=sum(each.is_statement for each in items),
        bytes=memory.bytes_of(each.value for each in items),
        size=STEPS.size,
        bound=conf.get("COMPILED_QUERIES"),
    )


counters = Counters()


def root(kind: Any, model: Any) -> Any:
    """Return the node at which querysets of a class begin, None for Django's way."""
    if model is None or not changes.may_learn():
        return None
    meta = model._meta
    roots = vars(meta).setdefault("_daf_roots", {})
    found = roots.get(kind)
    if found is None and not apps.ready:
        return None
    if found is None or found.node.epoch is not STEPS.epoch:
        watch = _unpatched(kind).watch
        if len(roots) >= _CLASSES:
            roots.clear()
        found = roots[kind] = _native.rows.Root(kind, new_node((), STEPS.epoch), watch)
        room.add(found)
    return found.node if found.holds() else None


def grown() -> None:
    """Note that there is one node, statement or write of a model more."""
    STEPS.size += 1
    STEPS.clock += 1
    bound = conf.get("COMPILED_QUERIES")
    if STEPS.size > bound:
        counters.forgotten += room.make(bound)


def clear(**signal: Any) -> None:
    """Forget everything."""
    if STEPS:
        STEPS.epoch = object()
        STEPS.size = 0
        room.clear()


changes.forgets.append(clear)
setting_changed.connect(clear)
class_prepared.connect(clear)

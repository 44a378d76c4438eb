"""The compiled plans, batches and iterators against what Django makes of the rows.

No database: rows are tuples, and for `ResultBatch` a decoder made with ctypes.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import copy
import ctypes
import gc
import inspect
import operator
import pickle
import sys
import time
import tracemalloc
import types
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import django
import pytest
from django.conf import settings

if not settings.configured:
    settings.configure()
    django.setup()

from django.db import models
from django.db.models import query as django_query
from django.db.models.base import ModelState

rows = pytest.importorskip("django_async_fast._rows")

FETCH_MODES = django.VERSION >= (6, 1)
if FETCH_MODES:
    from django.db.models.fetch_modes import FETCH_ONE


class Writer(models.Model):
    name = models.CharField(max_length=20)

    class Meta:
        app_label = "rows"


class Address(models.Model):
    writer = models.OneToOneField(Writer, models.CASCADE, related_name="address")
    city = models.TextField()

    class Meta:
        app_label = "rows"


class Story(models.Model):
    title = models.TextField()
    writer = models.ForeignKey(
        Writer, models.CASCADE, null=True, related_name="stories"
    )
    editor = models.ForeignKey(Writer, models.CASCADE, null=True, related_name="edited")
    pages = models.IntegerField(default=0)

    class Meta:
        app_label = "rows"


class Vetted(models.Model):
    """Its class notices how it is made."""

    name = models.TextField()

    class Meta:
        app_label = "rows"

    @classmethod
    def from_db(cls, db: Any, field_names: Any, values: Any, **kwargs: Any) -> Any:
        new = super().from_db(db, field_names, values, **kwargs)
        new.seen = (db, field_names, values, kwargs)
        return new


class Thing:
    """Something to count references to."""


# ---------------------------------------------------------------- helpers


def source_of(*batches: Any) -> Callable[[], Any]:
    return iter([*batches, None]).__next__


def build(plan: Any, *values: Any) -> list[Any]:
    return list(rows.RowIterator(source_of(rows.TupleBatch(plan, list(values)))))


def model_plan(model: Any, start: int = 0, **options: Any) -> Any:
    attnames = [field.attname for field in model._meta.concrete_fields]
    options.setdefault(
        "columns", list(zip(attnames, range(start, start + 99), strict=False))
    )
    options.setdefault("width", start + len(attnames))
    if "from_db" not in options:
        options.setdefault("state_class", ModelState)
    if FETCH_MODES:
        options.setdefault("fetch_mode", FETCH_ONE)
    return rows.ModelPlan(model=model, db="default", pk_column=start, **options)


def from_db(model: Any, values: Any, attnames: Any = None) -> Any:
    attnames = attnames or [field.attname for field in model._meta.concrete_fields]
    extra = {"fetch_mode": FETCH_ONE} if FETCH_MODES else {}
    return model.from_db("default", attnames, values, **extra)


def anatomy(obj: Any) -> Any:
    """All that tells one instance from another, in order; by value, cycles cut."""
    return _anatomy(obj, set())


def _anatomy(obj: Any, seen: set[int]) -> Any:
    if isinstance(obj, (models.Model, ModelState)):
        if id(obj) in seen:
            return "seen"
        seen.add(id(obj))
        return type(obj), _anatomy(vars(obj), seen)
    if isinstance(obj, dict):
        return [(name, _anatomy(value, seen)) for name, value in obj.items()]
    return type(obj), obj


class Failing:
    def __call__(self, value: Any, *_: Any) -> Any:
        raise ZeroDivisionError(value)


class Source:
    """An asynchronous source that keeps a diary. Awaitables, batches and errors."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.diary: list[str] = []

    def __call__(self) -> Any:
        return self.fetch()

    async def fetch(self) -> Any:
        self.diary.append("fetch")
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, BaseException):
            raise step
        if inspect.isawaitable(step):
            return await step
        return step

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.diary.append("aclose")

    def abandon(self) -> None:
        self.diary.append("abandon")


def ready(*items: Any) -> Any:
    return rows.ListBatch(list(items))


async def collect(iterator: Any) -> list[Any]:
    return [item async for item in iterator]


async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


# ---------------------------------------------------------------- outputs


def test_tuples() -> None:
    assert build(rows.TuplePlan(width=2), (1, "a"), (2, None)) == [(1, "a"), (2, None)]


def test_tuples_are_the_drivers_own_when_nothing_changes() -> None:
    row = (1, "a")
    assert build(rows.TuplePlan(width=2), row)[0] is row


def test_tuples_of_the_first_columns() -> None:
    plan = rows.TuplePlan(width=3, columns=2)
    assert build(plan, (1, 2, 3), [4, 5, 6]) == [(1, 2), (4, 5)]


def test_a_row_may_have_columns_of_its_own_after_the_plans() -> None:
    assert build(rows.TuplePlan(width=2), (1, 2, 3)) == [(1, 2)]
    assert build(rows.DictPlan(["a"], width=1), (1, 2, 3)) == [{"a": 1}]


def test_flat() -> None:
    assert build(rows.FlatPlan(width=2), (1, 2), [3, 4]) == [1, 3]


def test_named() -> None:
    Pair = collections.namedtuple("Pair", "x y")
    (pair,) = build(rows.NamedPlan(Pair, width=2), [1, 2])
    assert (type(pair), pair.x, pair.y) == (Pair, 1, 2)
    assert hash(pair) == hash((1, 2))


def test_dicts_keep_the_order_and_of_equal_names_the_last_value() -> None:
    plan = rows.DictPlan(["b", "a", "b"], width=4)
    (made,) = build(plan, (1, 2, 3, 4))
    assert list(made.items()) == [("b", 3), ("a", 2)]


def test_dicts_are_separate() -> None:
    one, two = build(rows.DictPlan(["a"], width=1), (1,), (2,))
    one["b"] = 3
    assert two == {"a": 2}


@pytest.mark.parametrize("width", [0, 1, 63, 64, 65, 500])
def test_any_width(width: int) -> None:
    row = list(range(width))
    assert build(rows.TuplePlan(width=width), row) == [tuple(row)]
    plan = rows.DictPlan(map(str, row), width=width)
    assert build(plan, row) == [{str(i): i for i in row}]


def test_lists_are_handed_over_as_they_are() -> None:
    things = [Thing(), Thing()]
    assert list(rows.RowIterator(source_of(rows.ListBatch(things)))) == things


def test_a_list_that_shrinks_meanwhile_is_an_error() -> None:
    for values in ([1, 2], [(1,), (2,)]):
        batch = (
            rows.ListBatch(values)
            if values[0] == 1
            else rows.TupleBatch(rows.FlatPlan(), values)
        )
        iterator = rows.RowIterator(source_of(batch))
        assert next(iterator) == 1
        values.clear()
        with pytest.raises(IndexError):
            next(iterator)


def test_a_row_may_empty_the_list_it_is_in() -> None:
    class Row:
        def __iter__(self) -> Iterator[Any]:
            values.clear()
            gc.collect()
            return iter((1, 2))

    values: list[Any] = [Row()]
    batch = rows.TupleBatch(rows.FlatPlan(width=2), values)
    assert next(rows.RowIterator(source_of(batch))) == 1


def test_short_rows_are_an_error_that_says_both_numbers() -> None:
    with pytest.raises(ValueError, match="at least 3 columns, got 2"):
        build(rows.DictPlan("abc", width=3), (1, 2))
    with pytest.raises(TypeError):
        build(rows.TuplePlan(width=3), 5)


# ---------------------------------------------------------------- plans refuse nonsense


@pytest.mark.parametrize(
    "make",
    [
        lambda: rows.TuplePlan(width=-1),
        lambda: rows.TuplePlan(width=1, columns=2),
        lambda: rows.FlatPlan(width=0),
        lambda: rows.DictPlan("ab", width=1),
        lambda: rows.TuplePlan(width=1, converters=[(1, (), None)]),
        lambda: model_plan(Writer, columns=[("id", 5)]),
        lambda: model_plan(Writer, foreign_keys=[2]),
        lambda: model_plan(Writer, annotations=[("n", -1)]),
        lambda: model_plan(Story, relations=[rows.Relation(model_plan(Writer))]),
        lambda: rows.Relation(rows.ModelPlan.__new__(rows.ModelPlan)),
        lambda: rows.TupleBatch(rows.TuplePlan.__new__(rows.TuplePlan), []),
    ],
)
def test_plans_check_their_columns(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: model_plan(Writer, state_class=None),
        lambda: model_plan(Writer, state_class=int),
        lambda: rows.NamedPlan(list, width=1),
        lambda: model_plan(Writer, known=[1]),
        lambda: model_plan(Writer, relations=[1]),
        lambda: rows.TuplePlan(width=1, surprise=1),
        lambda: rows.TuplePlan(),
    ],
)
def test_plans_check_their_types(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        make()


def test_a_plan_is_made_once() -> None:
    plan = rows.TuplePlan(width=1)
    with pytest.raises(RuntimeError):
        plan.__init__(width=2)


# ---------------------------------------------------------------- converters


def test_converters_run_in_order_with_expression_and_connection_also_for_none() -> None:
    calls = []

    def first(value: Any, expression: Any, connection: Any) -> Any:
        calls.append((value, expression, connection))
        return [value]

    plan = rows.TuplePlan(
        width=3,
        converters=[
            (1, (first, lambda value, *_: (value,)), "expr"),
            (2, [first], "e2"),
        ],
        connection="conn",
    )
    given = (1, None, 3)
    assert build(plan, given) == [(1, ([None],), [3])]
    assert calls == [(None, "expr", "conn"), (3, "e2", "conn")]
    assert given == (1, None, 3)


def test_a_converter_that_fails_ends_the_iteration() -> None:
    plan = rows.DictPlan("ab", width=2, converters=[(1, (Failing(),), None)])
    iterator = rows.RowIterator(source_of(rows.TupleBatch(plan, [(1, 2), (3, 4)])))
    with pytest.raises(ZeroDivisionError):
        next(iterator)
    assert list(iterator) == []


def test_converters_errors_are_not_translated() -> None:
    plan = rows.TuplePlan(
        width=1, converters=[(0, (Failing(),), None)], translate_error=LookupError
    )
    with pytest.raises(ZeroDivisionError):
        build(plan, (1,))


def test_loading_errors_are_translated() -> None:
    plan = rows.FlatPlan(width=2, translate_error=lambda error: LookupError(str(error)))
    with pytest.raises(LookupError, match="2 columns, got 1") as caught:
        build(plan, (1,))
    assert isinstance(caught.value.__cause__, ValueError)


def test_translate_error_may_return_the_error_itself() -> None:
    with pytest.raises(ValueError) as caught:
        build(rows.FlatPlan(width=2, translate_error=lambda error: error), (1,))
    assert caught.value.__cause__ is None


# ---------------------------------------------------------------- instances


def foreign_keys(model: Any) -> list[int]:
    return [
        column
        for column, field in enumerate(model._meta.concrete_fields)
        if field.is_relation
    ]


@pytest.mark.parametrize(
    ("model", "row"),
    [
        (Writer, (1, "Ada")),
        (Story, (1, "T", 2, None, 3)),
        (Story, (1, "T", None, None, 3)),
        (Address, (1, 2, "Paris")),
    ],
)
def test_instances_equal_djangos(model: Any, row: Any) -> None:
    (ours,) = build(model_plan(model, foreign_keys=foreign_keys(model)), row)
    theirs = from_db(model, row)
    assert anatomy(ours) == anatomy(theirs)
    assert type(ours._state) is ModelState
    assert list(vars(ours)) == list(vars(theirs))
    assert gc.is_tracked(ours)
    assert ours == theirs


def test_without_foreign_keys_the_cache_comes_when_it_is_asked_for() -> None:
    (story,) = build(model_plan(Story), (1, "T", 2, None, 3))
    assert "fields_cache" not in vars(story._state)
    assert story._state.fields_cache == {}


def test_deferred_fields() -> None:
    columns = [("id", 0), ("pages", 1)]
    (ours,) = build(model_plan(Story, width=2, columns=columns), (1, 30))
    assert anatomy(ours) == anatomy(from_db(Story, (1, 30), ["id", "pages"]))
    assert ours.get_deferred_fields() == {"title", "writer_id", "editor_id"}


def pickled(obj: Any) -> Any:
    return pickle.loads(pickle.dumps(obj))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
@pytest.mark.parametrize("track", [False, FETCH_MODES])
def test_copies_equal_copies_of_djangos(
    copied: Callable[[Any], Any], track: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The models here belong to no installed app.
    monkeypatch.setattr(django.db.models.base.apps, "get_model", lambda *_: Story)
    row = (1, "T", 2, None, 3)
    plan = model_plan(Story, foreign_keys=[2, 3], track_peers=track)
    (ours,), theirs = build(plan, row), from_db(Story, row)
    assert anatomy(copied(ours)) == anatomy(copied(theirs))
    assert copied(ours) == ours


def test_pickles_do_not_name_this_package(monkeypatch: pytest.MonkeyPatch) -> None:
    (ours,) = build(model_plan(Writer), (1, "Ada"))
    assert b"django_async_fast" not in pickle.dumps(ours)


def test_models_wider_than_pythons_shared_keys() -> None:
    fields = {f"f{i:02}": models.IntegerField() for i in range(40)}
    meta = type("Meta", (), {"app_label": "rows"})
    Wide = type(
        "Wide", (models.Model,), {**fields, "Meta": meta, "__module__": __name__}
    )
    (ours,) = build(model_plan(Wide), tuple(range(41)))
    assert anatomy(ours) == anatomy(from_db(Wide, tuple(range(41))))


def test_from_db_gets_what_django_passes() -> None:
    extra = {"fetch_mode": FETCH_ONE} if FETCH_MODES else {}
    bound = partial(Vetted.from_db, **extra)
    (ours,) = build(model_plan(Vetted, from_db=bound), (1, "Ada"))
    assert ours.seen == ("default", ["id", "name"], (1, "Ada"), extra)
    assert anatomy(ours) == anatomy(from_db(Vetted, (1, "Ada"), ["id", "name"]))


def test_from_db_gets_lists_when_there_are_converters() -> None:
    inner = model_plan(Vetted, 2, from_db=Vetted.from_db)
    plan = model_plan(
        Vetted,
        width=4,
        columns=[("id", 0), ("name", 1)],
        from_db=Vetted.from_db,
        converters=[(1, (lambda value, *_: value.upper(),), None)],
        relations=[
            rows.Relation(inner, lambda obj, child: setattr(obj, "child", child))
        ],
    )
    (ours,) = build(plan, (1, "ada", 2, "bob"))
    assert ours.seen[2] == [1, "ADA"]
    assert ours.child.seen[2] == [2, "bob"]


def test_from_db_that_fails() -> None:
    def fails(*_: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build(model_plan(Writer, from_db=fails), (1, "Ada"))


# ---------------------------------------------------------------- what comes after


@pytest.mark.parametrize("slow", [False, True])
def test_peers(slow: bool) -> None:
    options = {"from_db": Writer.from_db} if slow else {}
    plan = model_plan(Writer, track_peers=True, **options)
    one, two = build(plan, (1, "Ada"), (2, "Bob"))
    assert one._state.peers is two._state.peers
    assert [ref() for ref in one._state.peers] == [one, two]
    expected = (
        ["adding", "db"] + ["fetch_mode"] * (FETCH_MODES and not slow) + ["peers"]
    )
    assert list(vars(one._state)) == expected
    assert not build(model_plan(Writer), (1, "A"))[0]._state.__dict__.get("peers")


def test_annotations() -> None:
    class Tagged(Writer):
        class Meta:
            app_label = "rows"
            proxy = True

        def _set(self, value: Any) -> None:
            self.__dict__["tag"] = ("set", value)

        tag = property(lambda self: self.__dict__["tag"], _set)

    annotations = [("tag", 2), ("n", 3), ("direct", 2, True)]
    plan = model_plan(Tagged, width=4, annotations=annotations)
    (ours,) = build(plan, (1, "Ada", "x", 7))
    assert list(vars(ours))[1:] == ["id", "name", "tag", "n", "direct"]
    assert (ours.tag, ours.n, ours.direct) == (("set", "x"), 7, "x")


def select_related(relation: Callable[..., Any]) -> Any:
    """Story (0-4), its writer (5-6)."""
    return model_plan(
        Story, width=7, foreign_keys=[2, 3], relations=[relation(model_plan(Writer, 5))]
    )


def djangos_populator(
    model: Any, start: int, local: Any, remote: Any, *inner: Any
) -> Any:
    """A RelatedPopulator without the compiler that makes it."""
    populator = django_query.RelatedPopulator.__new__(django_query.RelatedPopulator)
    populator.db = "default"
    populator.init_list = [field.attname for field in model._meta.concrete_fields]
    populator.cols_start, populator.cols_end = start, start + len(populator.init_list)
    populator.reorder_for_init, populator.pk_idx = None, 0
    populator.model_cls, populator.related_populators = model, list(inner)
    populator.local_setter, populator.remote_setter = local, remote
    if FETCH_MODES:
        populator.peers, populator.fetch_mode = [], FETCH_ONE
        populator.from_db = partial(model.from_db, fetch_mode=FETCH_ONE)
    return populator


def nothing(*_: Any) -> None:
    pass


WRITER = Story._meta.get_field("writer")
ADDRESS = Address._meta.get_field("writer")


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize(
    "row", [(1, "T", 5, None, 3, 5, "Ada"), (1, "T", None, None, 3, None, None)]
)
def test_relations_equal_djangos(row: Any, direct: bool) -> None:
    options = {"local_cache": "writer"} if direct else {}
    (ours,) = build(
        select_related(
            lambda plan: rows.Relation(
                plan, WRITER.set_cached_value, nothing, **options
            )
        ),
        row,
    )
    theirs = from_db(Story, row[:5])
    djangos_populator(Writer, 5, WRITER.set_cached_value, nothing).populate(row, theirs)
    assert anatomy(ours) == anatomy(theirs)
    assert (ours.writer is None) == (row[2] is None)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("address", [(3, 5, "Paris"), (None, None, None)])
def test_nested_relations_equal_djangos(direct: bool, address: Any) -> None:
    """Story -> writer -> its address (the reverse of a one-to-one), set both ways."""
    reverse = ADDRESS.remote_field
    row = (1, "T", 5, None, 3, 5, "Ada", *address)
    caches = ["address", "writer"] if direct else []
    inner = rows.Relation(
        model_plan(Address, 7, foreign_keys=[8]),
        reverse.set_cached_value,
        ADDRESS.set_cached_value,
        *caches,
    )
    writer = model_plan(Writer, 5, width=10, relations=[inner])
    outer = rows.Relation(writer, WRITER.set_cached_value, None, *caches[1:])
    (ours,) = build(
        model_plan(Story, width=10, foreign_keys=[2, 3], relations=[outer]), row
    )
    theirs = from_db(Story, row[:5])
    nested = djangos_populator(
        Address, 7, reverse.set_cached_value, ADDRESS.set_cached_value
    )
    djangos_populator(Writer, 5, WRITER.set_cached_value, nothing, nested).populate(
        row, theirs
    )
    assert anatomy(ours) == anatomy(theirs)
    if address[0] is None:
        assert ours.writer._state.fields_cache == {"address": None}
    else:
        assert ours.writer.address.writer is ours.writer


def test_direct_stores_meet_setters_and_instances_of_from_db() -> None:
    """Each sees what the other stored, in whichever order they come."""
    make = partial(model_plan, Writer, 5, width=7)
    relations = [
        rows.Relation(make(), local_cache="a"),
        rows.Relation(make(), WRITER.set_cached_value),
        rows.Relation(make(from_db=Writer.from_db), local_cache="b", remote_cache="up"),
    ]
    for options in ({}, {"from_db": Story.from_db}):
        plan = model_plan(Story, width=7, relations=relations, **options)
        (story,) = build(plan, (1, "T", 5, None, 3, 5, "Ada"))
        cache = story._state.fields_cache
        assert list(cache) == ["a", "writer", "b"]
        assert cache["b"]._state.fields_cache == {"up": story}


def test_relations_have_their_own_peers() -> None:
    inner = model_plan(Writer, 5, track_peers=True)
    plan = model_plan(
        Story,
        width=7,
        track_peers=True,
        relations=[rows.Relation(inner, local_cache="writer")],
    )
    stories = build(plan, *[(i, "T", 5, None, 3, i, "Ada") for i in (1, 2)])
    assert [ref() for ref in stories[0]._state.peers] == stories
    writers = [story.writer for story in stories]
    assert [ref() for ref in writers[0]._state.peers] == writers


def test_a_setter_that_fails() -> None:
    plan = select_related(lambda plan: rows.Relation(plan, Failing()))
    with pytest.raises(ZeroDivisionError):
        build(plan, (1, "T", 5, None, 3, 5, "Ada"))


class KnownField:
    """A field of known related objects, for one attribute or for two."""

    name = "known_object"

    def __init__(self, cached: bool = False) -> None:
        self.cached = cached

    def is_cached(self, obj: Any) -> bool:
        return self.cached


@pytest.mark.parametrize(
    ("cached", "related", "attnames", "expected"),
    [
        (False, {2: "two"}, ("writer_id",), "two"),
        (False, {(2, 3): "both"}, ("writer_id", "pages"), "both"),
        (False, {3: "three"}, ("writer_id",), None),
        (False, {2: "two"}, ("absent",), None),
        (True, {2: "two"}, ("writer_id",), None),
    ],
)
def test_known_related_objects(
    cached: bool, related: Any, attnames: Any, expected: Any
) -> None:
    known = rows.Known(KnownField(cached), related, attnames)
    (story,) = build(model_plan(Story, known=[known]), (1, "T", 2, None, 3))
    assert getattr(story, "known_object", None) == expected


def test_known_related_objects_of_a_real_field() -> None:
    ada = from_db(Writer, (5, "Ada"))
    known = rows.Known(WRITER, {5: ada}, ["writer_id"])
    plan = model_plan(Story, foreign_keys=[2], known=[known])
    ours, other = build(plan, (1, "T", 5, None, 3), (2, "T", 6, None, 3))
    assert ours.writer is ada
    assert "writer" not in other._state.fields_cache
    theirs = from_db(Story, (1, "T", 5, None, 3))
    theirs.writer = ada
    assert anatomy(ours) == anatomy(theirs)


def test_known_related_objects_give_way_to_select_related() -> None:
    ada = from_db(Writer, (5, "Ada"))
    plan = model_plan(
        Story,
        width=7,
        relations=[rows.Relation(model_plan(Writer, 5), local_cache="writer")],
        known=[rows.Known(WRITER, {5: ada}, ["writer_id"])],
    )
    (ours,) = build(plan, (1, "T", 5, None, 3, 5, "Loaded"))
    assert ours.writer.name == "Loaded"


# ---------------------------------------------------------------- the finaliser


@pytest.mark.parametrize("install", ["function", "slot"])
def test_state_finalizer(install: str) -> None:
    class State:
        made = 0

    class Cache:
        def __get__(self, state: Any, owner: Any = None) -> Any:
            State.made += 1
            state.fields_cache = {}
            return state.fields_cache

    State.fields_cache = Cache()
    State.__del__ = (
        rows.state_finalizer
        if install == "function"
        else rows.state_finalizer_for(State)
    )
    cache, other = {"a": 1}, {"b": 2}
    state = State()
    state.adding, state.fields_cache, state.other = False, cache, other
    del state
    assert (cache, other) == ({}, {"b": 2})

    state = State()
    state.adding = False
    del state
    state = State()
    vars(state)["fields_cache"] = cache = {"a": 1}
    state.me = state
    del state
    gc.collect()
    assert (cache, State.made) == ({}, 0)


def test_state_finalizer_keeps_the_current_exception_and_never_raises() -> None:
    class State:
        @property
        def fields_cache(self) -> Any:
            raise ZeroDivisionError

    State.__del__ = finalizer = rows.state_finalizer_for(State)
    state = State()
    state.x = {"a": 1}
    finalizer(state)
    with pytest.raises(KeyError):
        try:
            raise KeyError
        finally:
            del state
    rows.state_finalizer(object())


def test_state_finalizer_is_inherited_and_can_be_replaced() -> None:
    class State:
        pass

    class Child(State):
        pass

    State.__del__ = rows.state_finalizer_for(State)
    child, cache = Child(), {"a": 1}
    child.fields_cache = cache
    del child
    assert cache == {}
    State.__del__ = lambda self: cache.update(b=1)
    Child()
    assert cache == {"b": 1}
    with pytest.raises(TypeError):
        rows.state_finalizer_for(5)


@pytest.mark.skipif(
    not FETCH_MODES, reason="Django before 6.1 has no ModelState.__del__"
)
def test_djangos_finaliser_is_still_what_ours_replaces() -> None:
    lines = inspect.getsource(ModelState).splitlines()
    start = lines.index("    def __del__(self):")
    assert lines[start + 1 :] == ["        self.fields_cache.clear()"]


# ---------------------------------------------------------------- canaries


def test_model_state_is_as_we_fill_it() -> None:
    """What ModelPlan bypasses; a Django that changes it must be looked at again."""
    expected = {"db", "adding", "fields_cache"}
    if FETCH_MODES:
        expected |= {"fetch_mode", "peers", "__getstate__", "__del__"}
    ordinary = {"__module__", "__doc__", "__dict__", "__weakref__", "__qualname__"}
    ordinary |= {"__firstlineno__", "__static_attributes__", "__slotnames__"}
    assert set(vars(ModelState)) - ordinary == expected
    assert "__init__" not in vars(ModelState)


def test_from_db_sets_what_we_set() -> None:
    ours = {"adding", "db", "fetch_mode", "fields_cache", "peers"}
    theirs = set(models.Model.from_db.__func__.__code__.co_names) & ours
    assert theirs == {"adding", "db", *(["fetch_mode"] if FETCH_MODES else [])}


# ---------------------------------------------------------------- results of libpq


class RowDecoder(ctypes.Structure):
    _fields_ = [
        ("abi", ctypes.c_uint32),
        ("columns", ctypes.c_uint32),
        ("ctx", ctypes.c_void_p),
        ("decode_row", ctypes.c_void_p),
    ]


DECODE_ROW = ctypes.PYFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_void_p),
)
new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
increment = ctypes.pythonapi.Py_IncRef
increment.argtypes = [ctypes.py_object]


class Decoder:
    """Decodes row i as `make(i)`."""

    NAME = b"django_async_fast._decode.RowDecoder"

    def __init__(
        self, make: Any, columns: int, abi: int = 1, name: bytes = NAME
    ) -> None:
        def decode(_ctx: Any, result: Any, row: int, out: Any) -> int:
            assert result == 4096
            for i, value in enumerate(make(row)):
                increment(value)
                out[i] = id(value)
            return 0

        self.function = DECODE_ROW(decode)
        pointer = ctypes.cast(self.function, ctypes.c_void_p)
        self.struct = RowDecoder(abi, columns, None, pointer)
        self.name = name
        self.capsule = new_capsule(ctypes.addressof(self.struct), name, None)


class FailingDecoder(Decoder):
    """A callback cannot leave an error set, but hash() of a list can."""

    def __init__(self) -> None:
        super().__init__(None, 2)
        self.unhashable: list[Any] = []
        self.struct.ctx = id(self.unhashable)
        self.struct.decode_row = ctypes.cast(
            ctypes.pythonapi.PyObject_Hash, ctypes.c_void_p
        )


def result_batch(plan: Any, decoder: Any, owner: Any, count: int) -> Any:
    return rows.ResultBatch(plan, decoder, owner, 4096, count)


def test_result_batch() -> None:
    owner, decoder = Thing(), Decoder(lambda i: (i, str(i)), 2)
    alive = weakref.ref(owner), weakref.ref(decoder)
    batch = result_batch(rows.DictPlan("ab", width=2), decoder, owner, 3)
    assert (len(batch), batch.rows) == (3, 3)
    iterator = rows.RowIterator(source_of(batch))
    del owner, decoder, batch
    assert next(iterator) == {"a": 0, "b": "0"}
    assert alive[0]() is not None
    assert alive[1]() is not None
    assert list(iterator) == [{"a": 1, "b": "1"}, {"a": 2, "b": "2"}]
    gc.collect()
    assert alive[0]() is None
    assert alive[1]() is None


def test_a_decoder_that_fails() -> None:
    plan = rows.TuplePlan(width=2)
    with pytest.raises(TypeError, match="unhashable"):
        list(rows.RowIterator(source_of(result_batch(plan, FailingDecoder(), None, 1))))
    plan = rows.TuplePlan(width=2, translate_error=lambda error: LookupError("ours"))
    iterator = rows.RowIterator(
        source_of(result_batch(plan, FailingDecoder(), None, 9))
    )
    with pytest.raises(LookupError, match="ours") as caught:
        next(iterator)
    assert isinstance(caught.value.__cause__, TypeError)
    assert list(iterator) == []


def test_result_batch_checks_the_contract() -> None:
    plan = rows.TuplePlan(width=2)
    make = partial(Decoder, lambda i: (1, 2))
    with pytest.raises(ValueError, match="expects 2 columns, the decoder writes 3"):
        result_batch(plan, make(3), None, 1)
    with pytest.raises(ValueError, match="expected row decoder ABI 1, got 2"):
        result_batch(plan, make(2, abi=2), None, 1)
    with pytest.raises(ValueError):
        result_batch(plan, make(2, name=b"other"), None, 1)
    with pytest.raises(ValueError):
        result_batch(plan, types.SimpleNamespace(capsule=5), None, 1)
    with pytest.raises(AttributeError):
        result_batch(plan, Thing(), None, 1)
    with pytest.raises(ValueError, match="NULL"):
        rows.ResultBatch(plan, make(2), None, 0, 1)
    for count in (-1, 2**31):
        with pytest.raises(ValueError, match="rows must be between"):
            result_batch(plan, make(2), None, count)


# ---------------------------------------------------------------- the sync iterator


class SyncSource:
    def __init__(self, *steps: Any) -> None:
        self.steps, self.closed = list(steps), 0

    def __call__(self) -> Any:
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, BaseException):
            raise step
        return step

    def close(self) -> None:
        self.closed += 1


def test_batches_one_after_the_other_empty_ones_too() -> None:
    source = SyncSource(ready(1, 2), ready(), ready(3))
    iterator = rows.RowIterator(source)
    assert iter(iterator) is iterator
    assert list(iterator) == [1, 2, 3]
    assert list(iterator) == []
    assert source.closed == 0


def test_length_hint_is_what_the_batch_still_has() -> None:
    iterator = rows.RowIterator(SyncSource(ready(1, 2, 3)))
    assert operator.length_hint(iterator) == 0
    next(iterator)
    assert operator.length_hint(iterator) == 2


def test_close() -> None:
    source = SyncSource(ready(1, 2))
    iterator = rows.RowIterator(source)
    next(iterator)
    iterator.close()
    iterator.close()
    assert list(iterator) == []
    assert source.closed == 1
    rows.RowIterator(source_of()).close()


def test_dropping_closes() -> None:
    source = SyncSource(ready(1, 2))
    for _ in rows.RowIterator(source):
        break
    assert source.closed == 1


@pytest.mark.parametrize("wrong", [ZeroDivisionError(), 5, [1, 2]])
def test_a_source_that_fails_ends_the_iteration(wrong: Any) -> None:
    source = SyncSource(ready(1), wrong, ready(2))
    iterator = rows.RowIterator(source)
    assert next(iterator) == 1
    with pytest.raises((ZeroDivisionError, TypeError)):
        next(iterator)
    assert list(iterator) == []
    assert source.closed == 1


@pytest.mark.parametrize("act", [lambda rows: rows.close(), lambda rows: next(rows)])
def test_a_converter_may_close_or_use_its_iterator(act: Callable[[Any], Any]) -> None:
    seen: list[Any] = []

    def meddle(value: Any, *_: Any) -> Any:
        if value == 1:
            seen.append(act(iterator))
        gc.collect()
        return [value]

    plan = rows.TuplePlan(width=2, converters=[(0, (meddle,), None)])
    batch = rows.TupleBatch(plan, [(0, Thing()), (1, Thing()), (2, Thing())])
    iterator = rows.RowIterator(source_of(batch))
    del batch
    assert [row[0] for row in iterator] == [[0], [1]]
    assert seen[0] is None or seen[0][0] == [2]


class Stopping:
    """Raises what would pass for the end of the rows (PEP 479)."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __call__(self, *_: Any) -> Any:
        raise self.error


def stopping_batch(error: type[BaseException]) -> Any:
    plan = rows.TuplePlan(width=1, converters=[(0, (Stopping(error),), None)])
    return rows.TupleBatch(plan, [(1,)])


def test_stop_iteration_does_not_pass_for_the_end() -> None:
    for source in (Stopping(StopIteration), source_of(stopping_batch(StopIteration))):
        iterator = rows.RowIterator(source)
        with pytest.raises(RuntimeError, match="raised StopIteration"):
            next(iterator)
        assert list(iterator) == []


def test_all_items_at_once() -> None:
    batch = rows.TupleBatch(rows.TuplePlan(width=2), [(1, "a"), (2, "b")])
    assert rows.items(batch) == [(1, "a"), (2, "b")]
    assert rows.items(rows.ListBatch([])) == []
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        rows.items(stopping_batch(StopIteration))
    with pytest.raises(ValueError, match="no"):
        rows.items(
            rows.TupleBatch(
                rows.TuplePlan(
                    width=1, converters=[(0, (Stopping(ValueError("no")),), None)]
                ),
                [(1,)],
            )
        )
    with pytest.raises(TypeError):
        rows.items(None)


def test_a_source_may_close_its_iterator() -> None:
    def source() -> Any:
        iterator.close()
        return ready(1)

    iterator = rows.RowIterator(source)
    assert list(iterator) == []


# ---------------------------------------------------------------- the async iterator


def test_async_batches_one_after_the_other() -> None:
    source = Source(ready(1, 2), ready(), later(ready(3)), ready(4))
    assert asyncio.run(collect(rows.AsyncRowIterator(source))) == [1, 2, 3, 4]
    assert source.diary == ["fetch"] * 5


def test_async_batches_at_hand() -> None:
    iterator = rows.AsyncRowIterator(source_of(ready(1, 2), ready(3)))
    assert asyncio.run(collect(iterator)) == [1, 2, 3]


def test_async_awaitables_that_are_no_coroutines() -> None:
    async def main() -> list[Any]:
        future = asyncio.get_running_loop().create_future()
        future.set_result(ready(1))
        task = asyncio.ensure_future(later(ready(2)))
        return await collect(rows.AsyncRowIterator(source_of(future, task)))

    assert asyncio.run(main()) == [1, 2]


def test_async_end_is_final() -> None:
    async def main() -> None:
        iterator = rows.AsyncRowIterator(Source(ready(1)))
        assert await collect(iterator) == [1]
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await anext(iterator)
        assert await anext(iterator, "default") == "default"

    asyncio.run(main())


def test_async_items_by_every_way_of_awaiting() -> None:
    async def main() -> None:
        items = [(), (1, 2), ValueError("item"), None, StopIteration(3), 6, 7, 8]
        iterator = rows.AsyncRowIterator(Source(later(ready(*items))))
        assert aiter(iterator) is iterator
        assert await anext(iterator) == ()
        assert await iterator.__anext__() == (1, 2)
        assert str(await asyncio.wait_for(iterator.__anext__(), 5)) == "item"
        assert await asyncio.ensure_future(iterator.__anext__()) is None
        assert (await asyncio.create_task(iterator.__anext__())).value == 3
        assert await anext(iterator, "default") == 6
        with pytest.raises(StopIteration) as stop:
            iterator.__anext__().send(None)
        assert stop.value.value == 7
        with pytest.raises(StopIteration) as stop:
            next(iterator.__await__())
        assert stop.value.value == 8

    asyncio.run(main())


def test_async_stop_iteration_that_is_kept_is_not_reused() -> None:
    iterator = rows.AsyncRowIterator(source_of(ready(*range(20))))
    kept = []
    for i in range(20):
        try:
            next(iterator) if i % 2 else iterator.__next__()
        except StopIteration as stop:
            kept.append(stop)
    assert [stop.value for stop in kept] == list(range(20))
    assert len({id(stop) for stop in kept}) == 20


def test_async_an_item_is_free_when_the_next_one_is_there() -> None:
    async def main() -> None:
        things = [Thing() for _ in range(3)]
        alive = [weakref.ref(thing) for thing in things]

        async def source() -> Any:
            return rows.ListBatch([things.pop()]) if things else None

        async for _ in rows.AsyncRowIterator(source):
            pass
        del _
        assert [ref() for ref in alive] == [None] * 3

    asyncio.run(main())


@pytest.mark.parametrize("wrong", [ZeroDivisionError(), 5, later(5)])
def test_async_a_fetch_that_fails_ends_the_iteration(wrong: Any) -> None:
    async def main() -> None:
        source = Source(ready(1), wrong, ready(2))
        iterator = rows.AsyncRowIterator(source)
        assert await anext(iterator) == 1
        with pytest.raises((ZeroDivisionError, TypeError)):
            await anext(iterator)
        assert await collect(iterator) == []
        assert source.diary == ["fetch", "fetch", "abandon"]

    asyncio.run(main())


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
def test_async_stop_iteration_does_not_pass_for_the_end(error: Any) -> None:
    async def fails() -> Any:
        raise StopAsyncIteration

    async def main() -> None:
        sources = [Stopping(error), source_of(stopping_batch(error)), Source(fails())]
        for source in sources:
            iterator = rows.AsyncRowIterator(source)
            with pytest.raises(RuntimeError, match="raised StopIteration"):
                await anext(iterator)
            assert await collect(iterator) == []

    asyncio.run(main())


@pytest.mark.parametrize("wrong", [5, "text", Thing()])
def test_async_a_source_that_returns_nonsense(wrong: Any) -> None:
    with pytest.raises(TypeError):
        asyncio.run(collect(rows.AsyncRowIterator(lambda: wrong)))


def test_async_a_row_that_fails_ends_the_iteration() -> None:
    async def main() -> None:
        plan = rows.TuplePlan(width=1, converters=[(0, (Failing(),), None)])
        source = Source(rows.TupleBatch(plan, [(1,), (2,)]))
        iterator = rows.AsyncRowIterator(source)
        with pytest.raises(ZeroDivisionError):
            await anext(iterator)
        assert await collect(iterator) == []
        assert source.diary == ["fetch", "abandon"]

    asyncio.run(main())


def test_async_cancellation_in_a_fetch() -> None:
    async def main() -> None:
        forever = asyncio.get_running_loop().create_future()
        source = Source(ready(1), forever, ready(2))
        iterator = rows.AsyncRowIterator(source)
        assert await anext(iterator) == 1
        task = asyncio.ensure_future(collect(iterator))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert forever.cancelled()
        assert source.diary == ["fetch", "fetch", "abandon"]
        assert await collect(iterator) == []
        await iterator.aclose()
        assert source.diary == ["fetch", "fetch", "abandon"]

    asyncio.run(main())


def test_async_a_fetch_that_survives_its_cancellation() -> None:
    async def main() -> None:
        async def stubborn() -> Any:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                return ready(1, 2)

        async def quick() -> Any:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                return ready(3)

        source = Source(stubborn(), quick())
        task = asyncio.ensure_future(collect(rows.AsyncRowIterator(source)))
        for _ in range(2):
            for _ in range(4):
                await asyncio.sleep(0)
            task.cancel()
        assert await task == [1, 2, 3]
        assert source.diary == ["fetch"] * 3

    asyncio.run(main())


def test_async_closing_the_task_closes_the_fetch() -> None:
    async def main() -> None:
        source = Source(asyncio.get_running_loop().create_future())
        coroutine = collect(rows.AsyncRowIterator(source))
        coroutine.send(None)
        coroutine.close()
        assert source.diary == ["fetch", "abandon"]

    asyncio.run(main())


def test_async_close_and_throw_of_an_idle_awaitable_change_nothing() -> None:
    iterator = rows.AsyncRowIterator(Source(ready(1)))
    iterator.close()
    with pytest.raises(ZeroDivisionError):
        iterator.throw(ZeroDivisionError)
    with pytest.raises(ZeroDivisionError, match="text"):
        iterator.throw(ZeroDivisionError("text"))
    assert asyncio.run(collect(iterator)) == [1]


def test_async_two_tasks() -> None:
    async def main() -> None:
        gate = asyncio.get_running_loop().create_future()
        source = Source(gate)
        iterator = rows.AsyncRowIterator(source)
        first = asyncio.ensure_future(collect(iterator))
        await asyncio.sleep(0)
        message = r"anext\(\): asynchronous generator is already running"
        with pytest.raises(RuntimeError, match=message):
            await anext(iterator)
        # One that has got hold of the awaitable in another way:
        with pytest.raises(RuntimeError, match=message):
            await iterator
        message = r"aclose\(\): asynchronous generator is already running"
        with pytest.raises(RuntimeError, match=message):
            await iterator.aclose()
        gate.set_result(ready(1, 2))
        assert await first == [1, 2]
        assert source.diary == ["fetch", "fetch"]

    asyncio.run(main())


def test_async_a_fetch_cannot_use_its_own_iterator() -> None:
    async def main() -> None:
        async def fetch() -> Any:
            for act in (iterator.__anext__, iterator.__next__, iterator.close):
                with pytest.raises(RuntimeError, match="already running"):
                    act()
            with pytest.raises(RuntimeError, match="already running"):
                iterator.throw(ZeroDivisionError)
            with pytest.raises(RuntimeError, match="already running"):
                await iterator.aclose()
            return ready(1)

        source = Source(fetch())
        iterator = rows.AsyncRowIterator(source)
        assert await collect(iterator) == [1]

    asyncio.run(main())


def test_aclose() -> None:
    async def main() -> None:
        source = Source(ready(1, 2))
        iterator = rows.AsyncRowIterator(source)
        assert await anext(iterator) == 1
        await iterator.aclose()
        await iterator.aclose()
        assert source.diary == ["fetch", "aclose"]
        assert await collect(iterator) == []

    asyncio.run(main())


def test_aclose_without_aclose() -> None:
    async def main() -> None:
        await rows.AsyncRowIterator(source_of(ready(1))).aclose()
        said = []
        source = types.SimpleNamespace(abandon=lambda: said.append("abandon"))
        await rows.AsyncRowIterator(source).aclose()
        assert said == ["abandon"]

    asyncio.run(main())


def test_dropping_abandons() -> None:
    async def main() -> None:
        source = Source(ready(1, 2))
        async for _ in rows.AsyncRowIterator(source):
            break
        assert source.diary == ["fetch", "abandon"]
        source = Source(ready(1))
        await collect(rows.AsyncRowIterator(source))
        assert source.diary == ["fetch", "fetch"]

    asyncio.run(main())


def test_dropping_in_a_cycle_abandons() -> None:
    source = Source(ready(1))
    source.iterator = rows.AsyncRowIterator(source)  # type: ignore[attr-defined]
    diary, alive = source.diary, weakref.ref(source)
    del source
    gc.collect()
    assert diary == ["abandon"]
    assert alive() is None


def test_errors_of_abandon_are_unraisable(monkeypatch: pytest.MonkeyPatch) -> None:
    def abandon() -> None:
        raise ZeroDivisionError

    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda arg: seen.append(arg.exc_type))
    rows.AsyncRowIterator(types.SimpleNamespace(abandon=abandon))
    assert seen == [ZeroDivisionError]


def test_a_converter_may_abandon_its_iterator() -> None:
    async def main() -> None:
        async def end() -> None:
            await iterator.aclose()

        def meddle(value: Any, *_: Any) -> Any:
            if value == 1:
                with pytest.raises(StopIteration):
                    iterator.aclose().send(None)
            gc.collect()
            return value

        plan = rows.TuplePlan(width=2, converters=[(0, (meddle,), None)])
        source = [rows.TupleBatch(plan, [(i, Thing()) for i in range(3)])]
        iterator = rows.AsyncRowIterator(lambda: source.pop())
        assert [row[0] async for row in iterator] == [0, 1]

    asyncio.run(main())


# ---------------------------------------------------------------- fairness


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_a_long_ready_stretch_lets_the_loop_run() -> None:
    async def main() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(other())
        async for _ in rows.AsyncRowIterator(source_of(ready(*range(320)))):
            spin(0.0001)  # 32 ms in all, the clock is looked at each 3.2 ms
        task.cancel()
        return turns

    assert 5 <= asyncio.run(main()) <= 12


def test_a_short_ready_stretch_does_not() -> None:
    coroutine = collect(rows.AsyncRowIterator(source_of(ready(*range(100)))))
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    assert stop.value.value == list(range(100))


def paused() -> tuple[Any, Any, list[int]]:
    """An iterator, and a coroutine over it that is suspended in a pause."""
    got: list[int] = []

    async def loop() -> None:
        async for item in iterator:
            got.append(item)
            spin(0.0001)

    iterator = rows.AsyncRowIterator(source_of(ready(*range(100))))
    coroutine = loop()
    assert coroutine.send(None) is None
    return iterator, coroutine, got


def test_in_a_pause_others_must_wait() -> None:
    iterator, coroutine, _ = paused()
    with pytest.raises(RuntimeError, match="already running"):
        iterator.__anext__()
    coroutine.close()


@pytest.mark.parametrize("cancel", [True, False])
def test_cancelled_in_a_pause_nothing_is_lost(cancel: bool) -> None:
    iterator, coroutine, got = paused()
    if cancel:
        with pytest.raises(asyncio.CancelledError):
            coroutine.throw(asyncio.CancelledError())
    else:
        coroutine.close()
    assert 0 < len(got) < 100
    assert got + asyncio.run(collect(iterator)) == list(range(100))


# ---------------------------------------------------------------- references


def refcount_cases() -> Iterator[tuple[str, Callable[[Any], Any]]]:
    Pair = collections.namedtuple("Pair", "x y")
    twice = (0, (lambda value, *_: [value], lambda value, *_: value[0]), None)
    late = [twice, (1, (Failing(),), None)]
    yield "tuple", lambda row: build(rows.TuplePlan(width=2, columns=1), row)
    yield "flat", lambda row: build(rows.FlatPlan(width=2), row)
    yield "named", lambda row: build(rows.NamedPlan(Pair, width=2), row)
    yield "dict", lambda row: build(rows.DictPlan("ab", width=2), row)
    yield (
        "converted",
        lambda row: build(rows.TuplePlan(width=2, converters=[twice]), row),
    )
    yield (
        "converter fails",
        lambda row: build(rows.TuplePlan(width=2, converters=late), row),
    )
    yield "short row", lambda row: build(rows.TuplePlan(width=3), row)
    yield "model", lambda row: build(model_plan(Writer), row)
    yield "from_db", lambda row: build(model_plan(Writer, from_db=Writer.from_db), row)
    yield "from_db fails", lambda row: build(model_plan(Writer, from_db=Failing()), row)
    yield "peers", lambda row: build(model_plan(Writer, track_peers=True), row)
    related = partial(model_plan, Writer, width=2)
    for name, options in {
        "relation": {"local_cache": "a", "remote_cache": "b"},
        "setters": {"local_setter": nothing, "remote_setter": nothing},
        "setter fails": {"local_setter": Failing()},
    }.items():
        relation = rows.Relation(related(), **options)
        yield (
            name,
            lambda row, relation=relation: build(related(relations=[relation]), row),
        )
    yield (
        "annotation",
        lambda row: build(related(annotations=[("n", 1), ("m", 1, True)]), row),
    )
    broken = [("pk", 1), ("_state", 0, True), ("x" * 3, 1)]
    yield "odd annotation", lambda row: build(related(annotations=broken), row)
    known = rows.Known(KnownField(), {}, ["id"])
    yield "known", lambda row: build(related(known=[known]), row)


CASES = dict(refcount_cases())


@pytest.mark.parametrize("name", CASES)
def test_no_reference_is_lost_or_kept(name: str) -> None:
    value = Thing()
    row = (value, value)
    before = sys.getrefcount(value)
    for _ in range(20):
        with contextlib.suppress(ZeroDivisionError, ValueError):
            CASES[name](row)
    gc.collect()
    assert sys.getrefcount(value) == before


def test_no_memory_is_lost() -> None:
    async def once() -> None:
        batches = [rows.TupleBatch(model_plan(Writer), [(1, "a")] * 50) for _ in "ab"]
        async for _ in rows.AsyncRowIterator(Source(later(batches[0]), batches[1])):
            pass
        iterator = rows.AsyncRowIterator(Source(batches[0], ZeroDivisionError()))
        with pytest.raises(ZeroDivisionError):
            await collect(iterator)
        await rows.AsyncRowIterator(Source(batches[0])).aclose()
        async for _ in rows.AsyncRowIterator(Source(batches[0])):
            break

    async def main() -> int:
        for _ in range(20):
            await once()
        gc.collect()
        tracemalloc.start()
        await once()
        gc.collect()
        start = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            await once()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - start
        tracemalloc.stop()
        return grown

    assert asyncio.run(main()) < 20_000


def test_build_info() -> None:
    info = rows.build_info()
    assert info["profile"] in ("release", "debug")
    assert info["cython"][0] == "3"


def test_a_part_of_a_batch() -> None:
    things = [object() for _ in range(5)]
    whole = rows.ListBatch(things)
    for first, count, found in ((0, 2, things[:2]), (3, 9, things[3:]), (5, 1, [])):
        part = rows.Part(whole, first, count)
        assert len(part) == len(found)
        assert rows.items(part) == found
        assert list(rows.RowIterator(source_of(part))) == found
    for first, count in ((-1, 1), (6, 1), (0, -1)):
        with pytest.raises(ValueError, match="there are 5"):
            rows.Part(whole, first, count)

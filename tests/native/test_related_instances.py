"""Peers, annotations and related objects that plans give to their instances."""

from functools import partial
from typing import Any

import pytest
from django.db.models import query as django_query

from .plans import (
    FETCH_MODES,
    FETCH_ONE,
    Address,
    KnownField,
    Story,
    Writer,
    anatomy,
    build,
    from_db,
    model_plan,
    nothing,
)

rows = pytest.importorskip("django_async_fast._rows")


@pytest.mark.parametrize("slow", [False, True])
def test_peers(slow: bool) -> None:
    options = {"from_db": Writer.from_db} if slow else {}
    plan = model_plan(Writer, track_peers=True, **options)
    one, two = build(plan, (1, "Ada"), (2, "Bob"))
    assert one._state.peers is two._state.peers
    assert [ref() for ref in one._state.peers] == [one, two]
    fetch_mode = ["fetch_mode"] * (FETCH_MODES and not slow)
    assert list(vars(one._state)) == ["adding", "db", *fetch_mode, "peers"]
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


WRITER = Story._meta.get_field("writer")
ADDRESS = Address._meta.get_field("writer")


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize(
    "row", [(1, "T", 5, None, 3, 5, "Ada"), (1, "T", None, None, 3, None, None)]
)
def test_relations_equal_djangos(row: Any, direct: bool) -> None:
    options = {"local_cache": "writer"} if direct else {}
    setters = WRITER.set_cached_value, nothing
    # Story is in columns 0-4, its writer in 5 and 6.
    writer = rows.Relation(model_plan(Writer, 5), *setters, **options)
    (ours,) = build(model_plan(Story, width=7, relations=[writer]), row)
    theirs = from_db(Story, row[:5])
    djangos_populator(Writer, 5, *setters).populate(row, theirs)
    assert anatomy(ours) == anatomy(theirs)
    assert (ours.writer is None) == (row[2] is None)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("address", [(3, 5, "Paris"), (None, None, None)])
def test_nested_relations_equal_djangos(direct: bool, address: Any) -> None:
    """Story -> writer -> its address (the reverse of a one-to-one), set both ways."""
    both = ADDRESS.remote_field.set_cached_value, ADDRESS.set_cached_value
    row = (1, "T", 5, None, 3, 5, "Ada", *address)
    caches = ["address", "writer"] if direct else []
    inner = rows.Relation(model_plan(Address, 7), *both, *caches)
    writer = model_plan(Writer, 5, width=10, relations=[inner])
    outer = rows.Relation(writer, WRITER.set_cached_value, None, *caches[1:])
    (ours,) = build(model_plan(Story, width=10, relations=[outer]), row)
    theirs = from_db(Story, row[:5])
    nested = djangos_populator(Address, 7, *both)
    outer = djangos_populator(Writer, 5, WRITER.set_cached_value, nothing, nested)
    outer.populate(row, theirs)
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
    writers = [rows.Relation(inner, local_cache="writer")]
    plan = model_plan(Story, width=7, track_peers=True, relations=writers)
    stories = build(plan, *[(i, "T", 5, None, 3, i, "Ada") for i in (1, 2)])
    assert [ref() for ref in stories[0]._state.peers] == stories
    writers = [story.writer for story in stories]
    assert [ref() for ref in writers[0]._state.peers] == writers


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
    known = rows.KnownRelated(KnownField(cached), related, attnames)
    (story,) = build(model_plan(Story, known=[known]), (1, "T", 2, None, 3))
    assert getattr(story, "known_object", None) == expected


def test_known_related_objects_of_a_real_field() -> None:
    ada = from_db(Writer, (5, "Ada"))
    known = rows.KnownRelated(WRITER, {5: ada}, ["writer_id"])
    plan = model_plan(Story, known=[known])
    ours, other = build(plan, (1, "T", 5, None, 3), (2, "T", 6, None, 3))
    assert ours.writer is ada
    assert "writer" not in other._state.fields_cache
    theirs = from_db(Story, (1, "T", 5, None, 3))
    theirs.writer = ada
    assert anatomy(ours) == anatomy(theirs)


def test_known_related_objects_give_way_to_select_related() -> None:
    known = [rows.KnownRelated(WRITER, {5: from_db(Writer, (5, "Ada"))}, ["writer_id"])]
    relations = [rows.Relation(model_plan(Writer, 5), local_cache="writer")]
    plan = model_plan(Story, width=7, relations=relations, known=known)
    (ours,) = build(plan, (1, "T", 5, None, 3, 5, "Loaded"))
    assert ours.writer.name == "Loaded"

"""Instances that plans make are those that Django's from_db() makes."""

import copy
import gc
import inspect
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import django
import pytest
from django.db import models
from django.db.models.base import ModelState

from .plans import (
    FETCH_MODES,
    FETCH_ONE,
    Address,
    Story,
    Tableless,
    Vetted,
    Writer,
    anatomy,
    build,
    from_db,
    model_plan,
)

rows = pytest.importorskip("django_async_fast._rows")


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
    (ours,) = build(model_plan(model), row)
    theirs = from_db(model, row)
    assert anatomy(ours) == anatomy(theirs)
    assert type(ours._state) is ModelState
    assert list(vars(ours)) == list(vars(theirs))
    assert gc.is_tracked(ours)
    assert ours == theirs


def test_the_cache_of_relations_comes_when_it_is_asked_for() -> None:
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
    plan = model_plan(Story, track_peers=track)
    (ours,), theirs = build(plan, row), from_db(Story, row)
    assert anatomy(copied(ours)) == anatomy(copied(theirs))
    assert copied(ours) == ours


def test_pickles_do_not_name_this_package() -> None:
    (ours,) = build(model_plan(Writer), (1, "Ada"))
    assert b"django_async_fast" not in pickle.dumps(ours)


def test_models_wider_than_pythons_shared_keys() -> None:
    fields = {f"f{i:02}": models.IntegerField() for i in range(40)}
    Wide = type("Wide", (Tableless,), {**fields, "__module__": __name__})
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
    child = rows.Relation(inner, lambda obj, child: setattr(obj, "child", child))
    plan = model_plan(
        Vetted,
        width=4,
        columns=[("id", 0), ("name", 1)],
        from_db=Vetted.from_db,
        converters=[(1, (lambda value, *_: value.upper(),), None)],
        relations=[child],
    )
    (ours,) = build(plan, (1, "ada", 2, "bob"))
    assert ours.seen[2] == [1, "ADA"]
    assert ours.child.seen[2] == [2, "bob"]


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
    made_for = install == "slot"
    State.__del__ = (
        rows.state_finalizer_for(State) if made_for else rows.state_finalizer
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


@pytest.mark.skipif(not FETCH_MODES, reason="ModelState.__del__ is Django 6.1's")
def test_djangos_finaliser_is_still_what_ours_replaces() -> None:
    lines = inspect.getsource(ModelState).splitlines()
    start = lines.index("    def __del__(self):")
    assert lines[start + 1 :] == ["        self.fields_cache.clear()"]


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

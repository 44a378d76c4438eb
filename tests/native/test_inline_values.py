"""Instances filled where CPython keeps their attributes; nobody may tell the difference."""

import gc
import sys
import sysconfig
import weakref
from typing import Any

import pytest
from django.db import models
from django.db.models.base import ModelState

from django_async_fast.querysets.plans.row_plan import why_from_db

from .plans import Story, Tableless, Thing, Writer, anatomy, build, from_db, model_plan

INLINE = (3, 13) <= sys.version_info[:2] < (3, 15) and not sysconfig.get_config_var(
    "Py_GIL_DISABLED"
)
ROW = (1, "T", 2, None, 3)


def own_dict(obj: Any) -> bool:
    return any(type(referent) is dict for referent in gc.get_referents(obj))


def model(name: str) -> Any:
    namespace = {"name": models.TextField(), "__module__": __name__}
    return type(name, (Tableless,), namespace)


def story() -> Any:
    (made,) = build(model_plan(Story), ROW)
    return made


@pytest.mark.skipif(not INLINE, reason="this CPython keeps attributes elsewhere")
def test_an_instance_has_no_dict_until_it_is_asked_for() -> None:
    # Of a class of its own: what others give to instances takes places in their class.
    (made,) = build(model_plan(model("Fresh")), (1, "n"))
    assert not own_dict(made)
    state = next(one for one in gc.get_referents(made) if type(one) is ModelState)
    assert not own_dict(state)
    assert vars(made)["name"] == "n"


def test_its_dict_lives_on_and_follows_it() -> None:
    made = story()
    attributes = vars(made)
    made.pages, made.extra = 4, 5
    del made.title
    names = ["_state", "id", "writer_id", "editor_id", "pages", "extra"]
    assert list(attributes) == names
    assert (attributes["pages"], attributes["extra"]) == (4, 5)
    del made
    assert attributes["pages"] == 4


def test_attributes_go_and_come_without_a_dict() -> None:
    made, theirs = story(), from_db(Story, ROW)
    for obj in (made, theirs):
        del obj.title
        obj.extra = "new"
        obj.title = "again"
        obj.__dict__ = dict(vars(obj))
    assert anatomy(made) == anatomy(theirs)


def test_references_are_neither_lost_nor_kept() -> None:
    plan, value = model_plan(Writer), Thing()
    before = sys.getrefcount(value)
    made = build(plan, *[(index, value) for index in range(10)])
    assert sys.getrefcount(value) == before + 10
    del made
    assert sys.getrefcount(value) == before


def test_a_column_may_be_in_two_attributes() -> None:
    plan = model_plan(Story, width=2, columns=[("id", 0), ("title", 1), ("pages", 1)])
    value = object()
    before = sys.getrefcount(value)
    (made,) = build(plan, (1, value))
    assert made.title is made.pages is value
    assert sys.getrefcount(value) == before + 2
    del made
    assert sys.getrefcount(value) == before


def test_the_collector_sees_the_attributes() -> None:
    made = story()
    made.title = made
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None


def test_a_class_whose_places_are_all_taken() -> None:
    Crowded = model("Crowded")
    other = Crowded()
    for index in range(40):
        setattr(other, f"other_{index}", index)
    (made,) = build(model_plan(Crowded), (1, "Ada"))
    assert anatomy(made) == anatomy(from_db(Crowded, (1, "Ada")))


def test_a_finaliser_sees_only_instances_of_rows() -> None:
    Watched = model("Watched")
    Watched.__del__ = lambda self: self.name
    assert why_from_db(Watched) == "Watched has a __del__()"

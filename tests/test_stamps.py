"""Attributes of a new object, copied from the first; and how an untouched one looks."""

from __future__ import annotations

from collections import OrderedDict, deque
from threading import Lock
from typing import Any

import pytest

from django_async_fast.stamps import Look, Stamp


class Thing:
    def __init__(self, name: str) -> None:
        self.name = name
        self.count, self.ratio, self.kind, self.make = 0, 0.5, int, len_of
        self.seen: list[Any] = []
        self.last: deque[Any] = deque(maxlen=3)
        self.by_name: dict[str, Any] = {}
        self.ordered: OrderedDict[str, Any] = OrderedDict()
        self.names: set[str] = set()
        self.lock = Lock()


def len_of(value: Any) -> int:
    return len(value)


CONTAINERS = "seen", "last", "by_name", "ordered", "names"


def stamp_of(thing: Any) -> Stamp:
    stamp = Stamp("name")
    stamp.take(vars(thing))
    return stamp


def test_another_has_what_the_class_gives() -> None:
    fresh: Any = stamp_of(Thing("a")).fresh()
    made = vars(Thing("b"))
    assert fresh.pop("name") is None
    assert list(fresh) == [name for name in made if name != "name"]
    for name, value in fresh.items():
        assert type(value) is type(made[name])
        assert name == "lock" or value == made[name]


def test_each_has_containers_and_a_lock_of_its_own() -> None:
    first = Thing("a")
    stamp = stamp_of(first)
    first.seen.append(1)
    one: Any = stamp.fresh()
    one["by_name"]["x"] = one["lock"].acquire()
    two: Any = stamp.fresh()
    assert two["seen"] == []
    assert two["by_name"] == {}
    assert not two["lock"].locked()
    assert two["last"].maxlen == 3
    ids = [id(each[name]) for each in (vars(first), one, two) for name in CONTAINERS]
    assert len(set(ids)) == len(ids)


class Names(list[str]):
    pass


@pytest.mark.parametrize(
    "value", [[1], {"a": 1}, deque([1]), object(), Names(), (1, []), bytearray(), ()]
)
def test_what_may_be_its_owners_is_not_copied(value: Any) -> None:
    thing: Any = Thing("a")
    stamp = stamp_of(thing)
    assert stamp.fresh() is not None
    thing.more = value
    stamp = stamp_of(thing)
    assert stamp.fresh() is None
    assert stamp.tried


def test_nothing_has_been_tried_at_first() -> None:
    assert not Stamp().tried
    assert Stamp().fresh() is None


def untouched() -> tuple[Look, dict[str, Any]]:
    values = vars(Thing("a"))
    return Look(values, "name", "lock"), values


def test_another_looks_the_same() -> None:
    look, _ = untouched()
    assert look.is_of(vars(Thing("b")))


@pytest.mark.parametrize("name", ["count", "ratio", "kind", "make", *CONTAINERS])
def test_each_other_value_is_seen(name: str) -> None:
    look, values = untouched()
    values[name] = object()
    assert not look.is_of(values)


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_is_put_into_a_container_is_seen(name: str) -> None:
    look, values = untouched()  # of the very object that it was made of
    container = values[name]
    for put in ("append", "add", "setdefault"):
        if hasattr(container, put):
            getattr(container, put)("x")
    assert not look.is_of(values)
    container.clear()
    assert not look.is_of(values)  # while somebody else has it
    del container
    assert look.is_of(values)


@pytest.mark.parametrize("name", ["count", "seen", "name", "lock"])
def test_an_attribute_that_is_gone_is_seen(name: str) -> None:
    look, values = untouched()
    del values[name]
    assert not look.is_of(values)


def test_another_in_its_place_is_seen() -> None:
    look, values = untouched()
    del values["count"]
    assert not look.is_of({**values, "other": 0})


def test_one_more_is_seen() -> None:
    look, values = untouched()
    assert not look.is_of({**values, "more": None})


def test_what_it_had_in_a_container_is_missed() -> None:
    thing = Thing("a")
    thing.seen.append(1)
    look = Look(vars(thing), "name", "lock")
    assert look.is_of(vars(thing))
    assert not look.is_of(vars(Thing("b")))

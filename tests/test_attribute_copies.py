"""Attributes of a new object, copied from the first."""

from collections import OrderedDict, deque
from threading import Lock
from typing import Any

import pytest

from django_async_fast.attribute_copies import AttributeCopies


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


def copies_of(thing: Any) -> AttributeCopies:
    copies = AttributeCopies("name")
    copies.record(vars(thing))
    return copies


def test_another_has_what_the_class_gives() -> None:
    attributes: Any = copies_of(Thing("a")).copy()
    made = vars(Thing("b"))
    assert attributes.pop("name") is None
    assert list(attributes) == [name for name in made if name != "name"]
    for name, value in attributes.items():
        assert type(value) is type(made[name])
        assert name == "lock" or value == made[name]


def test_each_has_containers_and_a_lock_of_its_own() -> None:
    first = Thing("a")
    copies = copies_of(first)
    first.seen.append(1)
    one: Any = copies.copy()
    one["by_name"]["x"] = one["lock"].acquire()
    two: Any = copies.copy()
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
    copies = copies_of(thing)
    assert copies.copy() is not None
    thing.more = value
    copies = copies_of(thing)
    assert copies.copy() is None
    assert copies.recorded


def test_nothing_has_been_tried_at_first() -> None:
    assert not AttributeCopies().recorded
    assert AttributeCopies().copy() is None


def bare_class() -> Any:
    return type("Bare", (), {"__slots__": ("__dict__",)})


def test_a_class_has_the_constants_and_each_object_the_rest() -> None:
    kind = bare_class()
    copies = copies_of(Thing("a"))
    assert copies.set_on(kind)
    one, two = kind(), kind()
    for each in (one, two):
        copies.copy_containers(each)
        assert sorted(vars(each)) == sorted((*CONTAINERS, "lock"))
        assert (each.count, each.ratio, each.kind) == (0, 0.5, int)
        assert each.make([1]) == 1  # no method
        assert not hasattr(each, "name")
    one.seen.append(1)
    one.count = 7
    assert (two.seen, two.count) == ([], 0)


def test_a_class_has_nothing_of_what_may_be_its_owners() -> None:
    kind: Any = bare_class()
    thing: Any = Thing("a")
    thing.more = object()
    assert not copies_of(thing).set_on(kind)
    assert not hasattr(kind, "count")

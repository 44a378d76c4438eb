"""A set of `threading.local` values that a second thread shares."""

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from django_async_fast import _native

if not _native.COMPILED:
    pytest.skip("the compiled core shares them", allow_module_level=True)

ThreadLocals = _native.rows.ThreadLocals
kept = threading.local()


class Thing:
    pass


@pytest.fixture
def in_thread() -> Any:
    """What calls a function in one other thread."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield lambda function, *args: pool.submit(function, *args).result(timeout=10)


def test_each_sees_what_the_other_sets(in_thread: Callable[..., Any]) -> None:
    own = ThreadLocals()
    later = threading.local()

    def in_the_set() -> None:
        kept.value = "set's"
        in_thread(own.shared().call, in_the_other)
        assert kept.value == "thread's"
        assert later.value == "thread's, too"

    def in_the_other() -> None:
        assert kept.value == "set's"
        kept.value = "thread's"
        later.value = "thread's, too"

    in_thread(setattr, kept, "value", "of the thread's own")
    own.call(in_the_set)
    assert in_thread(lambda: kept.value) == "of the thread's own"
    assert in_thread(lambda: vars(later)) == {}
    assert not hasattr(kept, "value")
    # Taken while the set is aside, and in a call that fails.
    shared = own.shared()
    with pytest.raises(ZeroDivisionError):
        in_thread(shared.call, lambda: [kept.value, 1 / 0])
    assert in_thread(lambda: kept.value) == "of the thread's own"
    assert own.call(lambda: kept.value) == "thread's"


def test_what_is_new_is_told_while_one_waits(in_thread: Callable[..., Any]) -> None:
    own = ThreadLocals()
    one, other = threading.local(), threading.local()
    own.call(setattr, kept, "value", 1)
    shared = own.shared()

    def in_the_other() -> tuple[int, int]:
        one.value = 1
        shared.tell_new()
        told.set()
        assert answered.wait(10)
        shared.tell_new()
        return one.value, other.value

    told, answered = threading.Event(), threading.Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        found = pool.submit(shared.call, in_the_other)
        assert told.wait(10)
        assert own.call(lambda: one.value) == 1
        own.call(setattr, one, "value", 2)
        own.call(setattr, other, "value", 3)
        answered.set()
        assert found.result(timeout=10) == (2, 3)


def test_a_share_is_in_place_once() -> None:
    own = ThreadLocals()
    own.call(setattr, kept, "value", 1)
    shared = own.shared()
    assert shared.call(shared.call, lambda: kept.value) == 1
    assert own.call(shared.call, lambda: kept.value) == 1
    assert not hasattr(kept, "value")


@pytest.mark.parametrize("first", ["set", "share"])
def test_values_end_with_the_last_of_both(
    in_thread: Callable[..., Any], first: str
) -> None:
    own = ThreadLocals()
    thing = Thing()
    alive = weakref.ref(thing)
    own.call(setattr, kept, "value", thing)
    shared = own.shared()
    in_thread(shared.call, vars, kept)
    del thing
    if first == "set":
        own.clear()
        assert alive() is not None
        del shared
    else:
        del shared
        assert alive() is not None
        own.clear()
    assert alive() is None


def test_locals_that_die_while_they_are_shared(in_thread: Callable[..., Any]) -> None:
    own = ThreadLocals()
    own.call(setattr, kept, "value", 0)
    shared = own.shared()

    def sets_and_forgets(number: int) -> None:
        each = threading.local()
        each.value = number
        shared.tell_new()
        del each
        found_to_be_new()
        shared.tell_new()

    def found_to_be_new() -> None:
        each = threading.local()
        assert vars(each) == {}
        each.value = "another's"

    for number in range(200):
        in_thread(shared.call, sets_and_forgets, number)
        own.call(found_to_be_new)
    assert own.call(lambda: vars(kept)) == {"value": 0}

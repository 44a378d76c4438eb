"""A watch over classes says no sooner than it must, and never yes too late."""

import gc
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.fresh_python import ended

rows = pytest.importorskip("django_async_fast._rows")


class Base:
    inherited = 1


class Found(Base):
    own = 2


class Other:
    pass


@pytest.fixture
def watch() -> Any:
    made = rows.ClassWatch(Found, Other)
    assert not made.unchanged()  # nobody has looked
    assert (Found.own, Found.inherited, getattr(Other, "own", None)) == (2, 1, None)
    made.look()
    assert made.unchanged()
    return made


@pytest.mark.parametrize("kind", [Base, Found, Other])
@pytest.mark.parametrize("name", ["own", "inherited", "new"])
def test_a_change_is_noticed(
    watch: Any, kind: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(kind, name, 3, raising=False)
        assert not watch.unchanged()
        watch.look()
    # Even back to what it was: that is for whoever watches to see.
    assert not watch.unchanged()


def test_a_class_that_changes_for_ever_is_never_taken_as_unchanged() -> None:
    class Restless:
        value = 0

    watch = rows.ClassWatch(Restless)
    for value in range(3_000):  # CPython gives a class so many versions, then none
        Restless.value = value
        assert Restless.value == value
        watch.look()
        Restless.value = -1
        assert not watch.unchanged()


def test_a_class_that_changes_elsewhere_for_ever_is_asked_once() -> None:
    class Restless:
        value = 0
        named = 1

    class Heir(Restless):
        pass

    asked = []

    def ask() -> bool:
        watch.look()
        asked.append(Heir.named)
        return Heir.named == 1

    watch = rows.ClassWatch(Heir, asked=ask, names=(("named", "absent"),))
    for value in range(3_000):
        Restless.value = value
        assert Heir.value == value
        assert watch.holds()
    assert asked == [1]
    Heir.named = 2
    assert not watch.holds()
    assert not watch.holds()
    assert asked == [1, 2]
    del Heir.named
    assert watch.holds()
    Heir.absent = 1
    assert watch.holds()
    assert asked == [1, 2, 1, 1]
    Restless.value = -1
    assert watch.holds()
    assert asked == [1, 2, 1, 1]


def asking(find: Any, *kinds: type, names: Any) -> tuple[Any, list[Any]]:
    """Return a watch, and what has been found each time that it has asked."""
    asked: list[Any] = []

    def ask() -> bool:
        watch.look()
        asked.append(find())
        return True

    watch = rows.ClassWatch(*kinds, asked=ask, names=names)
    return watch, asked


def test_a_class_that_has_no_version_any_more_hides_no_change_of_another() -> None:
    class Restless:
        value = 0

    class Still:
        named = 1

    names = ("named",), ("named",)
    watch, asked = asking(lambda: Still.named, Restless, Still, names=names)
    for value in range(3_000):
        Restless.value = value
        assert watch.holds()
    Still.named = 2
    assert watch.holds()
    Still.other = 3  # type: ignore[attr-defined]
    assert watch.holds()
    Restless.named = 4  # type: ignore[attr-defined]
    assert watch.holds()
    assert asked == [1, 2, 2]


def test_all_that_a_class_has_is_compared() -> None:
    class Whole(Base):
        value = 0

    watch, asked = asking(lambda: Whole.value, Whole, names=((),))
    assert watch.holds()
    Whole.value = 1
    assert watch.holds()
    Whole.new = 1
    assert watch.holds()
    del Whole.new
    assert watch.holds()
    Base.new = 1
    del Base.new
    assert watch.holds()
    assert asked == [0, 1, 1, 1]
    with pytest.raises(ValueError, match="names for each class"):
        rows.ClassWatch(Whole, names=())


def worn_out(*bases: type[Any]) -> Any:
    """Return a class that has had all of its versions."""
    kind: Any = type("WornOut", bases, {"value": 0})
    for kind.value in range(3_000):
        assert kind().value == kind.value
    return kind


@pytest.mark.skipif(sys.version_info < (3, 12), reason="nobody tells of changes")
def test_a_class_that_has_no_version_any_more_is_looked_at_after_a_change() -> None:
    class Parent:
        inherited = elsewhere = 1

    kind = worn_out(Parent)
    watch = rows.ClassWatch(kind, names=(("value", "inherited"),))
    watch.look()
    kind.elsewhere = Parent.elsewhere = 2
    assert watch.unchanged()
    kind.value = kind.value
    assert watch.unchanged()
    for owner, name in ((kind, "value"), (Parent, "inherited")):
        before = getattr(owner, name)
        setattr(owner, name, "another")
        assert not watch.unchanged()
        setattr(owner, name, before)
        assert not watch.unchanged()
        watch.look()
    del kind.value
    assert not watch.unchanged()


def test_other_bases_of_a_class_without_a_version_are_noticed() -> None:
    kind = worn_out(Base)
    watch, asked = asking(lambda: kind.__bases__, kind, names=(("value",),))
    assert watch.holds()
    kind.__bases__ = (Other,)
    assert watch.holds()
    assert watch.holds()
    assert asked == [(Base,), (Other,)]
    Other.value = 1  # type: ignore[attr-defined]
    try:
        assert watch.holds()
    finally:
        del Other.value  # type: ignore[attr-defined]
    assert asked == [(Base,), (Other,), (Other,)]


def test_classes_come_and_go() -> None:
    """Another class may be where one was that is no more; what was kept of that goes."""

    def one() -> None:
        kind: Any = type("Made", (), {"value": 0})
        answers = iter((True, False))

        def ask() -> bool:
            watch.look()
            return next(answers)

        watch = rows.ClassWatch(kind, asked=ask, names=(("value",),))
        assert watch.holds()
        kind.value = 1
        assert not watch.holds()

    def many() -> int:
        for _ in range(500):
            one()
        gc.collect()
        return sys.getallocatedblocks()

    many()
    assert many() - many() > -200


def test_a_change_of_an_object_whose_dict_is_watched() -> None:
    found = Other()
    found.value = 0  # type: ignore[attr-defined]

    def ask() -> bool:
        watch.look(vars(found))
        return vars(found)["value"] < 1  # type: ignore[no-any-return]

    watch = rows.ClassWatch(Other, asked=ask)
    assert watch.holds()
    assert watch.holds()
    found.value = 1  # type: ignore[attr-defined]
    assert not watch.holds()


# Of what CPython has eight of.
TAKE_ALL = """
import ctypes, sys
import pytest
kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, *[ctypes.c_void_p] * 3)
callback = kind(lambda *told: 0)
taken = 0
try:
    while True:
        ctypes.pythonapi.PyDict_AddWatcher(callback)
        taken += 1
except RuntimeError:
    assert taken
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="nobody tells of changes")
def test_others_may_have_all_watchers() -> None:
    known = f"not {test_others_may_have_all_watchers.__name__} and not looked_at_after"
    options = "--noconftest", "-qq", "-p", "no:randomly", "-p", "no:cacheprovider"
    run = ended("-c", TAKE_ALL, *options, "-k", known, str(Path(__file__)))
    assert run.returncode == 0, run.stdout + run.stderr


def test_other_bases_are_noticed(watch: Any) -> None:
    before = Found.__bases__
    try:
        Found.__bases__ = (Base, Other)
        assert not watch.unchanged()
    finally:
        Found.__bases__ = before


def test_only_a_few_classes() -> None:
    with pytest.raises(ValueError, match="at most 10 classes, got 11"):
        rows.ClassWatch(*[Found] * 11)
    with pytest.raises(TypeError, match="expected a class"):
        rows.ClassWatch(Found())

"""A watch over classes says no sooner than it must, and never yes too late."""

from __future__ import annotations

from typing import Any

import pytest

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


def test_other_bases_are_noticed(watch: Any) -> None:
    before = Found.__bases__
    try:
        Found.__bases__ = (Base, Other)
        assert not watch.unchanged()
    finally:
        Found.__bases__ = before


def test_only_a_few_classes() -> None:
    with pytest.raises(ValueError, match="at most 8 classes, got 9"):
        rows.ClassWatch(*[Found] * 9)
    with pytest.raises(TypeError, match="expected a class"):
        rows.ClassWatch(Found())

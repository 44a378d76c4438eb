"""What tells that something is not as it was when a statement was learnt."""

from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.db.models.lookups import StartsWith

from django_async_fast.querysets import changes
from django_async_fast.querysets.compiled import tree
from tests.testapp.models import Tag

pytestmark = pytest.mark.core


def test_a_class_that_was_changed_is_not_right_again() -> None:
    class Kind:
        as_sql = 1

    (watch,) = changes.watches((Kind,), changes.OF_NODE)
    assert watch.holds()
    for value in (2, 3, 4):
        Kind.as_sql = value
        assert not watch.holds()


def test_a_pattern_that_was_changed_is_asked_for_again() -> None:
    def names() -> list[str]:
        return [tag.name for tag in Tag.objects.filter(name__startswith="a")]

    Tag.objects.bulk_create([Tag(name="ab"), Tag(name="ba")])
    for _ in range(4):
        assert names() == ["ab"]
    with mock.patch.object(StartsWith, "param_pattern", "%%%s"):
        for _ in range(4):
            assert names() == ["ba"]
    for _ in range(4):
        assert names() == ["ab"]


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("ops", "quote_name", '"{}"'.format),
        ("features", "allows_group_by_selected_pks", False),
        # Django finds these out once, and keeps them.
        ("features", "is_postgresql_16", False),
        ("features", "uses_server_side_binding", True),
    ],
)
@pytest.mark.parametrize("was_asked", [False, True])
def test_nothing_is_learnt_while_a_connection_has_its_own(
    part: str, name: str, value: Any, was_asked: bool
) -> None:
    def tags() -> int:
        for _ in range(3):
            list(Tag.objects.filter(name="n"))
            Tag(pk=1, name="n").delete()
        return tree.cache_info().size

    owner = getattr(connection, part)
    vars(owner).pop(name, None)
    if was_asked:
        getattr(owner, name)
    assert tags() > 0
    with mock.patch.object(owner, name, value):
        assert tags() == 0
        with mock.patch.object(owner, name, value):
            pass
        assert tags() == 0
    assert tags() > 0

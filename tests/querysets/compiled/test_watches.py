"""What tells that something is not as it was when a statement was learnt."""

from __future__ import annotations

from unittest import mock

import pytest
from django.db import connection

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


def test_nothing_is_learnt_while_a_connection_has_methods_of_its_own() -> None:
    def tags() -> int:
        for _ in range(3):
            list(Tag.objects.filter(name="n"))
            Tag(pk=1, name="n").delete()
        return tree.cache_info().size

    assert tags() > 0
    with mock.patch.object(connection.ops, "quote_name", connection.ops.quote_name):
        assert tags() == 0
    assert tags() > 0

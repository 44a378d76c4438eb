"""`explain_writes()` says what then happens."""

from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from django_async_fast import explain_writes
from tests.testapp.models import Book, CharKey, Everything, Novel, Tag, UuidKey, Wide

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    ("model", "created", "updated"),
    [
        *((model, "", "") for model in (Tag, Book, UuidKey, Wide)),
        (CharKey, "", "its primary key is not one integer or UUID"),
        (Everything, "it writes VALUES of binary", ""),
        (Novel, "it has more than one table", "it writes CASE of title, "),
    ],
)
def test_each_model_has_its_ways(model: Any, created: str, updated: str) -> None:
    found = explain_writes(model)
    assert found.why_django_creates == created
    assert found.why_django_updates.startswith(updated)
    assert bool(found.why_django_updates) == bool(updated)


def test_each_column_has_its_way() -> None:
    columns = {each.name: each for each in explain_writes(Wide).columns}
    assert str(columns["small"]) == "  small: smallint, an array"
    assert columns["json"].why_asked == "its field prepares each value"
    assert columns["file"].why_asked == "pre_save() is called for each object"
    assert all(each.encoded for each in columns.values())


def test_it_is_for_people() -> None:
    assert str(explain_writes(Tag)) == (
        "Tag:\n"
        "bulk_create(): by arrays\n"
        "bulk_update(): by arrays\n"
        "  name: varchar(50), an array"
    )


def test_who_looks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.execute_wrapper(lambda execute, *args: execute(*args)):
        assert "looks at the statements" in explain_writes(Tag).why_django_creates
    monkeypatch.setattr(QuerySet, "bulk_update", lambda *args, **kwargs: 0)
    assert "has been replaced" in explain_writes(Tag).why_django_updates

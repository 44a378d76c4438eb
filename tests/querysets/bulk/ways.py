"""The same bulk write by Django's own code and by ours: what it does, and how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from django.db import connection, models, transaction
from django.db.models.sql.compiler import SQLInsertCompiler

from django_async_fast.drivers.psycopg import statement
from django_async_fast.querysets.bulk import inserts, updates
from tests.support.describe import described
from tests.support.without_seams import without

SEAMS: tuple[tuple[Any, str, Any], ...] = (
    (SQLInsertCompiler, "execute_sql", inserts.execute_sql),
    (models.QuerySet, "bulk_update", updates.bulk_update),
)


def djangos() -> AbstractContextManager[None]:
    """Have Django's own code write."""
    return without(SEAMS)


@contextmanager
def arrays() -> Iterator[list[int]]:
    """Count, by statement sent with arrays, the parameters that were arrays."""
    sent: list[int] = []
    execute = statement.execute_arrays

    def counting(wrapper: Any, raw: Any, template: bytes, params: Any) -> Any:
        sent.append(sum(type(each) is statement.Array for each in params))
        return execute(wrapper, raw, template, params)

    with mock.patch.object(statement, "execute_arrays", counting):
        yield sent


def outcome(write: Callable[[], Any], *kinds: Any) -> Any:
    """Return what a write returns or raises, and the rows that are there then."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(oid::regclass, 1000) FROM pg_class WHERE relkind = 'S'"
        )
    with transaction.atomic():
        try:
            with transaction.atomic():
                found = described(write())
        except Exception as exc:
            found = type(exc), str(exc)
        rows = [
            described([*each._base_manager.order_by("pk").values_list()])
            for each in kinds
        ]
        transaction.set_rollback(True)
    return found, rows


@contextmanager
def table_of(*kinds: type[models.Model]) -> Iterator[None]:
    with connection.schema_editor() as editor:
        for kind in kinds:
            editor.create_model(kind)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            for kind in reversed(kinds):
                editor.delete_model(kind)

"""The same bulk write by Django's own code and by ours: what it does, and how it went."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from django.db import models, transaction
from django.db.models.sql.compiler import SQLInsertCompiler

from django_async_fast.drivers.psycopg import statement
from django_async_fast.querysets.bulk import inserts, updates
from tests.support import describe
from tests.support.describe import described
from tests.support.tables import restart_sequences
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


@contextmanager
def arrays_of_keys() -> Iterator[list[int]]:
    """Count the arrays of each statement with some that a compiled write sends."""
    sent: list[int] = []
    execute = statement.execute

    def counting(*args: Any) -> Any:
        if args[-1] is not None:
            sent.append(len(args[-1]))
        return execute(*args)

    with mock.patch.object(statement, "execute", counting):
        yield sent


def outcome(write: Callable[[], Any], *kinds: Any, using: str | None = None) -> Any:
    """Return what a write returns or raises, and the rows that are there then."""

    def written() -> Any:
        with transaction.atomic(using):
            return described(write())

    restart_sequences()
    with transaction.atomic(using):
        found = describe.outcome(written)
        rows = [
            described([*each._base_manager.using(using).order_by("pk").values_list()])
            for each in kinds
        ]
        transaction.set_rollback(True, using)
    return found, rows


def like_djangos(
    write: Callable[[], Any], *kinds: Any, times: int = 1, using: str | None = None
) -> list[list[int]]:
    """Assert that each time a write comes out as by Django's own code.

    Return what was sent as arrays, each time.
    """
    with djangos():
        wanted = outcome(write, *kinds, using=using)
    found = []
    for _ in range(times):
        with arrays() as sent:
            assert outcome(write, *kinds, using=using) == wanted
        found.append(sent)
    return found


def rows_like_djangos(write: Callable[[], Any], *kinds: Any) -> None:
    """Assert that the rows are then those of Django's own, or an error is of its class.

    Texts of errors may quote the statement, which is another.
    """
    with djangos():
        wanted, wanted_rows = outcome(write, *kinds)
    found, found_rows = outcome(write, *kinds)
    assert found_rows == wanted_rows
    assert found[0] == wanted[0]

"""The server finds the rows of a few keys in a large table by the index of the key."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from django.db import models, transaction
from django.db.models import sql
from django.test.utils import isolate_apps
from psycopg.adapt import Transformer

from django_async_fast import explain_writes
from django_async_fast.drivers.psycopg import statement
from tests.support.sql import execute
from tests.support.tables import Isolated, table_of
from tests.testapp.models import Tag, UuidKey

from .ways import arrays, like_djangos

pytestmark = [pytest.mark.core, pytest.mark.not_verified]

ROWS = 20_000
KEYS = [*range(1, 20 * 150, 20)]
UUIDS = [uuid.UUID(int=key) for key in KEYS]

with isolate_apps("tests.testapp"):

    class Seat(Isolated):
        pk = models.CompositePrimaryKey("row", "number")
        row = models.IntegerField()
        number = models.IntegerField()
        taken = models.BooleanField(default=False)


SEATS = [(row, number) for row in range(15) for number in range(10)]


@pytest.fixture(autouse=True)
def _rows() -> None:
    numbers = f"FROM generate_series(1, {ROWS}) i"
    execute(f"INSERT INTO testapp_tag (id, name) SELECT i, i::text {numbers}")
    execute(
        "INSERT INTO testapp_uuidkey (id, name) "
        f"SELECT lpad(to_hex(i), 32, '0')::uuid, '' {numbers}"
    )
    execute("ANALYZE testapp_tag, testapp_uuidkey")


@contextmanager
def plans() -> Iterator[list[str]]:
    """Note how the server would run each statement with arrays."""
    found: list[str] = []
    execute, beside = statement.execute_arrays, statement.execute

    def explain(raw: Any, query: bytes, sent: list[Any]) -> None:
        result = raw.pgconn.exec_params(b"EXPLAIN " + query, *zip(*sent, strict=True))
        lines = [result.get_value(i, 0).decode() for i in range(result.ntuples)]
        found.append("\n".join(lines))

    def of_columns(wrapper: Any, raw: Any, template: bytes, params: Any) -> Any:
        query, sent = statement._with_arrays(raw, params, template)
        explain(raw, query, [(*each, 1) for each in sent])
        return execute(wrapper, raw, template, params)

    def of_keys(
        wrapper: Any, raw: Any, sql: str, params: Any, template: bytes, sent: Any
    ) -> Any:
        literal = Transformer(raw).as_literal
        explain(raw, template % tuple(map(literal, params)), sent)
        return beside(wrapper, raw, sql, params, template, sent)

    with (
        mock.patch.object(statement, "execute_arrays", of_columns),
        mock.patch.object(statement, "execute", of_keys),
    ):
        yield found


def tags(keys: list[int]) -> Any:
    return Tag.objects.bulk_update(
        [Tag(pk=key, name=f"new {key}") for key in keys], ["name"]
    )


def uuid_keys(keys: list[uuid.UUID]) -> Any:
    objs = [UuidKey(pk=key, name="new") for key in keys]
    return UuidKey.objects.bulk_update(objs, ["name"])


def delete_batch(model: Any, keys: list[Any]) -> Any:
    return sql.DeleteQuery(model).delete_batch(keys, "default")


WRITES: dict[str, tuple[Callable[[], Any], int]] = {
    "bulk_update() of one": (lambda: tags(KEYS[:1]), 1),
    "bulk_update() of some": (lambda: tags(KEYS[:20]), 20),
    "bulk_update() of UUIDs": (lambda: uuid_keys(UUIDS[:9]), 9),
    "update()": (lambda: UuidKey.objects.filter(pk__in=UUIDS).update(name="new"), 150),
    "delete()": (lambda: UuidKey.objects.filter(pk__in=UUIDS).delete()[0], 150),
    "delete() of objects": (lambda: delete_batch(Tag, KEYS), 150),
    "delete() of UUIDs": (lambda: delete_batch(UuidKey, UUIDS), 150),
}


@pytest.mark.parametrize("name", WRITES)
def test_the_keys_index_is_used(name: str) -> None:
    write, count = WRITES[name]
    with plans() as found:
        for _ in range(3):  # until the statement is known
            with transaction.atomic():
                assert write() == count
                transaction.set_rollback(True)
    assert found
    for plan in found:
        assert "_pkey" in plan
        assert "Seq Scan" not in plan


@pytest.fixture
def seats() -> Iterator[None]:
    with table_of(Seat):
        yield


def made() -> Any:
    return Seat.objects.bulk_create(Seat(row=r, number=n) for r, n in SEATS)


def changed() -> Any:
    made()
    objs = [Seat(row=r, number=n, taken=n % 2) for r, n in SEATS]
    return Seat.objects.bulk_update(objs, ["taken"])


COMPOSITE: dict[str, Callable[[], Any]] = {
    "bulk_update": changed,
    "in_bulk": lambda: (made(), Seat.objects.in_bulk(SEATS)),
    "delete": lambda: (made(), Seat.objects.filter(pk__in=SEATS[:120]).delete()),
    "objects": lambda: (made(), delete_batch(Seat, SEATS[:120])),
}


@pytest.mark.usefixtures("seats")
def test_many_of_a_composite_key_are_inserted_by_arrays() -> None:
    assert like_djangos(made, Seat, times=2) == [[3], [3]]
    assert explain_writes(Seat).why_django_creates == ""
    assert "primary key" in explain_writes(Seat).why_django_updates


@pytest.mark.usefixtures("seats")
@pytest.mark.parametrize("name", COMPOSITE)
def test_a_composite_key_is_djangos(name: str) -> None:
    write = COMPOSITE[name]
    sent = like_djangos(write, Seat, times=3)
    assert [each for found in sent for each in found] == [3, 3, 3]


def test_few_and_many_of_one_table_have_plans_of_their_own() -> None:
    with plans() as found, transaction.atomic():
        assert tags([*range(1, ROWS + 1)]) == ROWS
        transaction.set_rollback(True)
    assert len(found) == 1
    assert "Hash Join" in found[0]
    with arrays() as sent:
        assert tags([1]) == 1
    assert sent == [2]

"""psycopg's two-phase commit on the connection of a block."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection, connections, transaction

from django_async_fast import new_connection, run_sync
from tests.testapp.models import Tag

XID = "daf two phases"


@pytest.fixture(autouse=True)
def _left_over(dsn: str) -> Iterator[None]:
    """Two transactions may be prepared, and none is left so."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        (most,) = admin.execute("SHOW max_prepared_transactions").fetchone() or "0"
        if most == "0":
            pytest.skip("this server prepares no transactions")
        yield
        for xid in admin.tpc_recover():
            admin.tpc_rollback(xid)


def begin(alias: str) -> None:
    wrapper = connections[alias]
    wrapper.ensure_connection()
    transaction.set_autocommit(False, alias)
    wrapper.connection.tpc_begin(XID)
    Tag.objects.using(alias).create(name="a")


@pytest.mark.parametrize("alias", ["default", "pooled"])
async def test_a_prepared_transaction_outlives_its_block(alias: str) -> None:
    """The second phase is another session's, as it is meant."""

    def prepare() -> None:
        begin(alias)
        connections[alias].connection.tpc_prepare()

    def commit() -> list[str]:
        connection.ensure_connection()
        found = [str(xid) for xid in connection.connection.tpc_recover()]
        connection.connection.tpc_commit(XID)
        return found

    async with new_connection(alias):
        await run_sync(prepare)
    async with new_connection(alias):
        # Nothing of it is left in the session that the pool has got back.
        assert await Tag.objects.using(alias).acount() == 0
        await Tag.objects.using(alias).acreate(name="b")
    async with new_connection():
        assert await run_sync(commit) == [XID]
        assert await Tag.objects.acount() == 2


@pytest.mark.parametrize("alias", ["default", "pooled"])
async def test_one_that_is_not_prepared_ends_with_its_block(alias: str) -> None:
    async with new_connection(alias):
        await run_sync(begin, alias)
    async with new_connection(alias):
        assert await Tag.objects.using(alias).acount() == 0
        await Tag.objects.using(alias).acreate(name="b")
    async with new_connection():
        assert await Tag.objects.acount() == 1

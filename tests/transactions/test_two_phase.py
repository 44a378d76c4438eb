"""psycopg's two-phase commit on the connection of a block."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import psycopg
import pytest
from django.db import connection, connections, transaction

from django_async_fast import new_connection, run_sync
from tests.support.programs import Do
from tests.support.sync_and_async import in_a_block, synchronously
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
        roll_back_prepared(admin)


def roll_back_prepared(admin: psycopg.Connection[Any]) -> None:
    """Nothing else can: who waits for their locks, TRUNCATE too, waits for ever."""
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


# ----- step by step, as without a block

PROGRAMS = [
    "off, begin, write, prepare, commit, read, on",
    "off, begin, write, prepare, roll back, read, on",
    "off, begin, write, commit, read",
    "off, begin, write, roll back, read",
    "off, begin, write, prepare, close, open, recover, read, commit it, read",
    "off, begin, write, prepare, close, open, off, roll it back",
    "off, begin, begin, prepare, prepare, read, roll back",
    "off, begin, write, django commit, django rollback, on, commit",
    "off, begin, fail, write, prepare, commit, read",
    "off, begin, atomic, prepare, commit, read, on",
    "off, atomic, begin, atomic, prepare, roll back, read",
    "begin, write, prepare, commit",
    "off, begin, write, prepare",
    "off, begin, write",
    "off, fail, atomic, close, write, commit",
    "recover, commit it, atomic, on, begin",
]


def random_programs(count: int) -> list[str]:
    rng = Random(20)
    often = ["off", "begin", "begin", "write", "prepare", "prepare", "commit", "close"]
    names = [*often, *STEPS]
    return [", ".join(rng.choices(names, k=rng.randint(4, 14))) for _ in range(count)]


def of_psycopg(name: str, *args: Any) -> Callable[[str], Any]:
    return lambda alias: getattr(connections[alias].connection, name)(*args)


STEPS: dict[str, Callable[[str], Any]] = {
    "begin": of_psycopg("tpc_begin", XID),
    "prepare": of_psycopg("tpc_prepare"),
    "commit": of_psycopg("tpc_commit"),
    "roll back": of_psycopg("tpc_rollback"),
    "commit it": of_psycopg("tpc_commit", XID),
    "roll it back": of_psycopg("tpc_rollback", XID),
    "recover": lambda alias: [*map(str, of_psycopg("tpc_recover")(alias))],
    "off": lambda alias: transaction.set_autocommit(False, alias),
    "on": lambda alias: transaction.set_autocommit(True, alias),
    "write": lambda alias: Tag.objects.using(alias).create(name="a").pk,
    "read": lambda alias: Tag.objects.using(alias).count(),
    "fail": lambda alias: Tag.objects.using(alias).raw("SELECT 1 / 0 AS id")[0],
    "atomic": lambda alias: transaction.atomic(alias)(STEPS["write"])(alias),
    "django commit": transaction.commit,
    "django rollback": transaction.rollback,
    "close": lambda alias: connections[alias].close(),
    "open": lambda alias: connections[alias].ensure_connection(),
}


def state(alias: str) -> Any:
    wrapper = connections[alias]
    django = wrapper.get_autocommit(), wrapper.in_atomic_block, wrapper.needs_rollback
    if wrapper.connection is None:
        return django
    return django, wrapper.connection.closed, wrapper.connection.info.transaction_status


@pytest.fixture
def anew(dsn: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that makes rows, sessions and wrapper as if nothing had been."""
    with psycopg.connect(dsn, autocommit=True, options="-c lock_timeout=5s") as admin:

        def forget(alias: str) -> None:
            wrapper = connections[alias]
            wrapper.close()
            # One that was closed in an atomic block never opens again.
            del connections[alias]
            wrapper.close_pool()
            roll_back_prepared(admin)
            admin.execute("TRUNCATE testapp_tag RESTART IDENTITY CASCADE")

        yield forget


@pytest.mark.parametrize(
    ("alias", "names"),
    [
        (alias, names)
        for names in PROGRAMS + random_programs(20)
        for alias in ("default", "pooled")
        # In stock the session that has prepared a transaction is the next one's.
        if alias == "default" or "close" not in names
    ],
)
def test_each_step_is_as_without_a_block(
    alias: str, names: str, anew: Callable[[str], None]
) -> None:
    async def program(do: Do) -> None:
        await do(lambda: STEPS["open"](alias))
        for name in names.split(", "):
            await do(lambda step=STEPS[name]: step(alias))
            await do(lambda: state(alias))

    anew(alias)
    expected = synchronously(program)
    anew(alias)
    assert in_a_block(program) == expected
    anew(alias)

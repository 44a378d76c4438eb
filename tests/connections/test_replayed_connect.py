"""A block's first connection, taken as Django took one before: nobody can tell."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, ProgrammingError, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test.utils import override_settings
from django.utils.functional import cached_property

from django_async_fast import new_connection
from django_async_fast.connections import lazy_wrapper, replayed_connect
from django_async_fast.pool import loop_pool
from tests.support.noted import noted
from tests.support.signals import receiving

SETTINGS = connections.settings["pooled"]


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    forget()
    yield
    forget()


KIND = lazy_wrapper._block_class(DatabaseWrapper, in_thread=False)


def forget() -> None:
    KIND.replayed_connects.pop("pooled", None)


def nothing(conn: Any) -> None:
    """Prepare nothing."""


async def connected(prepare: Callable[[Any], None] = nothing) -> dict[str, Any]:
    """Return what a wrapper has that has been connected in a block."""
    async with new_connection("pooled") as conn:
        prepare(conn)
        await conn.aensure_connection()
        return {
            name: value
            for name, value in vars(conn).items()
            if name not in (*replayed_connect.NOT_COPIED, "_thread_sharing_lock")
            and not isinstance(getattr(type(conn), name, None), cached_property)
        }


async def is_again(prepare: Callable[[Any], None] = nothing) -> bool:
    """Tell whether a block connects without Django's `connect()`."""
    kind = replayed_connect.ReplayedConnect
    connect = mock.patch.object(
        kind, "connect", autospec=True, side_effect=kind.connect
    )
    with connect as spy:
        await connected(prepare)
    return bool(spy.called)


async def test_the_state_is_djangos() -> None:
    first = await connected()
    assert (first["autocommit"], first["health_check_done"]) == (True, True)
    assert first["close_at"] is not None
    assert await is_again()
    second = await connected()
    assert second == first
    assert second["execute_wrappers"] is not first["execute_wrappers"]


async def test_marks_of_the_first_are_its_own() -> None:
    def mark(conn: Any) -> None:
        conn.tenant, conn.force_debug_cursor = 7, True
        conn.execute_wrappers.append(print)

    await connected(mark)
    later = await connected()
    assert "tenant" not in later
    assert later["force_debug_cursor"] is False
    assert later["execute_wrappers"] == []


async def test_marks_made_before_connecting_stay() -> None:
    await connected()
    assert (await connected(lambda conn: setattr(conn, "tenant", 7)))["tenant"] == 7


async def test_a_receiver_is_told_of_each() -> None:
    seen: list[Any] = []

    def receiver(sender: Any, connection: Any, **kwargs: Any) -> None:
        assert connection.connection is not None
        seen.append((sender, connection.autocommit, connection.health_check_done))

    with receiving(receiver):
        for _ in range(3):
            await connected()
    assert seen == [(KIND, True, True)] * 3


async def test_a_receiver_does_not_find_its_mark() -> None:
    def receiver(connection: Any, **kwargs: Any) -> None:
        if not hasattr(connection, "watched"):
            connection.watched = True
            connection.execute_wrappers.append(print)

    with receiving(receiver):
        for _ in range(3):
            assert (await connected())["execute_wrappers"] == [print]


async def test_a_receiver_that_fails() -> None:
    def receiver(connection: Any, **kwargs: Any) -> None:
        connection.connection.execute("SELECT nothing")

    await connected()
    with receiving(receiver), pytest.raises(ProgrammingError, match="nothing"):
        await connected()
    assert await is_again()


CHANGED: dict[str, tuple[str, Any]] = {
    "health checks": ("CONN_HEALTH_CHECKS", True),
    "autocommit": ("AUTOCOMMIT", False),
    "an option": ("OPTIONS", {**SETTINGS["OPTIONS"], "application_name": "x"}),
    "isolation": (
        "OPTIONS",
        {**SETTINGS["OPTIONS"], "isolation_level": psycopg.IsolationLevel.SERIALIZABLE},
    ),
}


@pytest.mark.parametrize("name", CHANGED)
async def test_other_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await connected()
    monkeypatch.setitem(SETTINGS, *CHANGED[name])
    assert not await is_again()
    changed = await connected()
    forget()
    djangos = await connected()
    assert djangos.pop("close_at") >= changed.pop("close_at")
    assert changed == djangos


async def test_options_changed_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    await connected()
    assert await is_again()
    monkeypatch.setitem(SETTINGS["OPTIONS"], "application_name", "x")
    assert not await is_again()


@pytest.mark.parametrize("name", ["autocommit", "isolation"])
async def test_what_is_never_done_again(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SETTINGS, *CHANGED[name])
    found = await connected()
    assert found["autocommit"] is (name != "autocommit")
    if name == "isolation":
        assert found["isolation_level"] is psycopg.IsolationLevel.SERIALIZABLE
    assert not await is_again()


async def test_a_time_zone_without_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "TIME_ZONE", "UTC")
    await connected()
    assert await is_again()
    with (
        override_settings(USE_TZ=False),
        pytest.raises(ImproperlyConfigured, match="USE_TZ is False"),
    ):
        await connected()


# With a pool, Django's `connect()` does not come to call it.
NOT_CALLED = {"get_autocommit"}


@pytest.mark.parametrize("name", replayed_connect._STEPS)
async def test_a_step_that_somebody_replaces(name: str) -> None:
    await connected()
    with noted(DatabaseWrapper, name) as calls:
        assert not await is_again()
    assert bool(calls) is (name not in NOT_CALLED)
    assert await is_again()


@pytest.mark.parametrize("name", sorted({*replayed_connect._STEPS} - {"__init__"}))
async def test_a_step_of_one_wrapper(name: str) -> None:
    await connected()
    step = mock.Mock()

    def own(conn: Any) -> None:
        step.side_effect = getattr(conn, name)
        setattr(conn, name, step)

    assert not await is_again(own)
    assert step.called is (name not in NOT_CALLED)


async def test_another_try_is_djangos(monkeypatch: pytest.MonkeyPatch) -> None:
    await connected()

    def checkout(self: Any) -> Any:
        monkeypatch.undo()
        raise psycopg.OperationalError("not now")

    monkeypatch.setattr(loop_pool.Pool, "checkout", checkout)
    async with new_connection("pooled") as conn:
        with pytest.raises(OperationalError, match="not now") as caught:
            await conn.aensure_connection()
        assert isinstance(caught.value.__cause__, psycopg.OperationalError)
        assert conn.errors_occurred
        assert conn.connection is None
        await conn.aensure_connection()
        assert not conn.errors_occurred


async def test_a_full_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = {"min_size": 0, "max_size": 1, "timeout": 0.1}
    monkeypatch.setitem(SETTINGS["OPTIONS"], "pool", pool)
    await connected()
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
        with pytest.raises(OperationalError, match="all 1 of at most 1"):
            await is_again()
    assert await is_again()

"""A wrapper that nobody has seen stays with its connection, for the next block."""

import asyncio
import weakref
from collections import UserDict
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.db import DataError, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.test.utils import override_settings

from django_async_fast import new_connection, run_sync
from django_async_fast.connections import lazy_wrapper
from django_async_fast.connections.blocks import current_block
from django_async_fast.drivers import forks
from django_async_fast.drivers.psycopg.connection import Connection
from tests.support.uncollected import uncollected

from .warm_pool import get, known_block

core, not_verified = pytest.mark.core, pytest.mark.not_verified
pytestmark = [core, not_verified, pytest.mark.usefixtures("tag")]


def unseen() -> Any:
    """Return what statements of this block run on without being shown, or None."""
    found = current_block().wrappers["pooled"]
    return lazy_wrapper.hidden(found) if lazy_wrapper.is_lazy(found) else None


async def used() -> Any:
    """Return what a block's get() has run on, that nobody has looked into."""
    async with known_block():
        return unseen()


async def warm() -> Any:
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()  # Django's way, once
    for _ in "seen", "learnt", "read":
        await used()
    found = await used()
    assert found is not None
    return found


async def test_the_next_block_goes_on_with_it() -> None:
    wrapper = await warm()
    raw = wrapper.connection
    assert raw.returned
    assert not wrapper.gate.root.open
    assert wrapper.block is None
    async with known_block():
        assert unseen() is wrapper
        assert wrapper.connection is raw
        assert wrapper.block is current_block()
        assert not raw.returned
        await get()
        assert unseen() is wrapper


async def test_who_looks_sees_its_state_and_keeps_it() -> None:
    hidden = await warm()
    async with known_block() as conn:
        assert unseen() is hidden
        assert conn.connection is hidden.connection  # a look
        assert unseen() is None
        assert "reusable" not in vars(conn)
        assert vars(conn) is vars(hidden)
        assert conn.ops.connection is conn
        await get()
        session = conn.connection.session
        assert session.spare_wrapper is None
    assert session.spare_wrapper is None
    assert await used() is not hidden


async def test_two_blocks_at_once_have_two() -> None:
    hidden = await warm()
    inside = asyncio.Event()

    async def other() -> Any:
        async with known_block():
            inside.set()
            return unseen()

    async with known_block():
        assert unseen() is hidden
        task = asyncio.create_task(other(), context=None)
        await inside.wait()
        assert await task is not hidden
        assert hidden.block is current_block()


async def test_an_error_shows_it() -> None:
    hidden = await warm()
    async with known_block():
        assert unseen() is hidden
        failing = mock.patch.object(Connection, "wait", side_effect=psycopg.DataError)
        with pytest.raises(DataError), failing:
            await get()
    assert await used() is not hidden


async def test_a_cancelled_statement_shows_it() -> None:
    hidden = await warm()
    async with known_block():
        task = asyncio.create_task(get())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    for _ in range(10):
        assert await used() is not hidden


@pytest.mark.parametrize("setting", [{"TIME_ZONE": "Asia/Tokyo"}, {"USE_TZ": False}])
async def test_other_settings_make_another(setting: dict[str, Any]) -> None:
    hidden = await warm()
    with override_settings(**setting):
        assert await used() is not hidden
        async with known_block() as conn:
            assert conn.timezone_name == connections["default"].timezone_name


async def test_options_changed_in_place_make_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hidden = await warm()
    monkeypatch.setitem(connections.settings["pooled"]["OPTIONS"], "autocommit", True)
    assert await used() is not hidden


async def test_settings_need_not_be_a_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = UserDict(connections.settings["pooled"])
    monkeypatch.setitem(connections.settings, "pooled", settings)
    kind = lazy_wrapper._block_class(DatabaseWrapper, in_thread=False)
    monkeypatch.setattr(kind, "replayed_connects", {})
    hidden = await warm()
    assert await used() is hidden
    settings["CONN_HEALTH_CHECKS"] = True
    assert await used() is not hidden


async def test_a_pool_that_is_closed_is_asked_no_more() -> None:
    hidden = await warm()
    async with new_connection("pooled") as conn:
        await run_sync(conn.close_pool)
    await used()
    async with known_block() as conn:
        assert conn.connection.session is not hidden.connection.session
        assert conn.pool._entry is not hidden.pool._entry


async def test_a_process_that_was_forked_has_a_pool_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hidden = await warm()
    monkeypatch.setattr(forks, "_forks", forks.forks() + 1)
    await used()
    async with known_block() as conn:
        assert conn.connection.session is not hidden.connection.session
        await run_sync(conn.close_pool)
    monkeypatch.undo()
    assert await used() is hidden


async def test_who_watches_cursors_is_shown_the_blocks_own() -> None:
    await warm()
    seen: list[Any] = []

    class Watching(CursorWrapper):
        def __init__(self, cursor: Any, db: Any) -> None:
            seen.append(db)
            super().__init__(cursor, db)

    async with known_block() as conn:
        with mock.patch("django.db.backends.utils.CursorWrapper", Watching):
            await get()
        assert seen
        assert all(each is conn for each in seen)


@pytest.mark.parametrize("name", ["autocommit", "in_atomic_block"])
async def test_a_property_of_the_backends_ends_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = await warm()
    session, value = hidden.connection.session, vars(hidden).pop(name)
    with monkeypatch.context() as patch:
        patch.setattr(type(hidden), name, property(lambda _: value), raising=False)
        assert await used() is hidden
    other = await used()
    assert other is not hidden
    assert other.connection.session is session


async def test_a_transaction_is_the_blocks() -> None:
    hidden = await warm()
    async with known_block():
        await run_sync(connections["pooled"].set_autocommit, False)
        await run_sync(connections["pooled"].rollback)
        await run_sync(connections["pooled"].set_autocommit, True)
    assert await used() is not hidden


async def test_a_straggler_reaches_nobody_elses_connection() -> None:
    hidden = await warm()
    go = asyncio.Event()

    async def late() -> Any:
        await go.wait()
        return await get()

    async with known_block():
        assert unseen() is hidden
        task = asyncio.create_task(late())
    async with known_block():
        assert unseen() is hidden
        go.set()
        with pytest.raises(Exception, match="has ended"):
            await task
        assert (await get()).name == "one"


async def test_another_view_ends_it() -> None:
    hidden = await warm()
    async with new_connection("pooled") as conn:
        await conn.aensure_connection()
        assert conn.connection.session is hidden.connection.session
        assert conn.connection is not hidden.connection
    assert await used() is not hidden


async def test_nothing_is_left_when_the_connection_ends() -> None:
    hidden = await warm()
    session = hidden.connection.session
    gone = weakref.ref(hidden)
    session.drop()
    with uncollected():
        del hidden, session
        await used()
        assert gone() is None


async def test_what_the_backend_does_is_told_without_a_look() -> None:
    hidden = await warm()
    async with known_block() as conn:
        features = conn.features
        assert type(features) is type(hidden).features_class
        assert unseen() is hidden
        assert not await run_sync(getattr, features, "uses_server_side_binding")
        assert unseen() is None
        assert conn.features is features


async def test_what_has_told_it_ends_with_the_block() -> None:
    hidden = await warm()
    with uncollected():
        async with known_block() as conn:
            features = weakref.ref(conn.features)
        del conn
        assert features() is None
    assert await used() is hidden

"""What `connections[alias]` means: in a block, on the bridge and off it, the block's."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import (
    DatabaseError,
    InterfaceError,
    close_old_connections,
    connection,
    connections,
    reset_queries,
    transaction,
)
from django.http import HttpResponse, JsonResponse
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils.decorators import sync_only_middleware
from django.utils.deprecation import MiddlewareMixin

from django_async_fast import bridge, checks, new_connection, run_sync
from tests.support.backend_pids import abackend_pid
from tests.support.describe import Queries
from tests.support.sql import execute
from tests.testapp.models import Author, Tag

SCHEMAS = ("one", "two")


@pytest.fixture
def schemas() -> Iterator[str]:
    """Two schemas with Author's table, and an alias whose wrapper has one set."""
    for name in SCHEMAS:
        execute(f"CREATE SCHEMA {name}")
        execute(
            f"CREATE TABLE {name}.testapp_author "
            "(LIKE public.testapp_author INCLUDING ALL)"
        )
    settings = {**connections.settings["default"], "ENGINE": "tests.backends.schemas"}
    connections.settings["schemas"] = settings
    yield "schemas"
    del connections.settings["schemas"]
    for name in SCHEMAS:
        execute(f"DROP SCHEMA {name} CASCADE")
    connections.close_all()
    asyncio.run(sync_to_async(connections.close_all)())  # those of asgiref's thread


@contextmanager
def schema(name: str) -> Iterator[None]:
    """What packages for tenants have: synchronous, and needs no query itself."""
    wrapper = connections["schemas"]
    before = wrapper.schema
    wrapper.set_schema(name)
    try:
        yield
    finally:
        wrapper.set_schema(before)


# ----- which it is


@pytest.mark.parametrize("alias", ["default", "pooled"])
async def test_a_coroutine_has_the_blocks(alias: str) -> None:
    async with new_connection(alias) as conn:
        assert connections[alias] is conn
        await abackend_pid(conn)
        assert connections[alias] is conn
        assert await run_sync(connections.__getitem__, alias) is conn
        assert transaction.get_connection(alias) is conn
        assert conn in connections.all()
        assert conn in connections.all(initialized_only=True)
        async with new_connection(alias) as inner:
            assert connections[alias] is inner
        assert connections[alias] is conn
        await asyncio.create_task(_is(alias, conn))
    assert connections[alias] is not conn


async def _is(alias: str, conn: Any) -> None:
    assert connections[alias] is conn


async def test_other_threads_and_loops_have_djangos() -> None:
    def look() -> Any:
        return connections["default"]

    async def elsewhere() -> Any:
        return look()

    async with new_connection() as conn:
        assert await asyncio.to_thread(look) is not conn
        assert await sync_to_async(look)() is conn  # the task waits for it
        assert await asyncio.to_thread(asyncio.run, elsewhere()) is not conn


async def test_a_task_that_outlived_its_block_has_none() -> None:
    ended = asyncio.Event()

    async def late(look: Callable[[], Any]) -> None:
        await ended.wait()
        with pytest.raises(InterfaceError, match="has ended"):
            look()

    async with new_connection():
        tasks = [
            asyncio.create_task(late(look))
            for look in (
                lambda: connections["default"],
                lambda: connection.alias,
                lambda: connections.all(initialized_only=True),
                lambda: transaction.on_commit(print),
            )
        ]
    ended.set()
    for task in tasks:
        await task


async def test_an_alias_exchanged_by_hand_ends_with_the_block() -> None:
    async with new_connection() as conn:
        first = await abackend_pid()
        del connections["default"]
        with pytest.raises(AttributeError):
            del connections["default"]
        other = connections["default"]
        assert other is not conn
        assert await abackend_pid() != first
        connections["default"] = conn
        assert await abackend_pid() == first
        connections["default"] = other
    assert conn.connection is other.connection is None


async def test_a_query_is_told_without_opening_anything() -> None:
    async with new_connection() as conn:
        told = str(Author.objects.filter(name="a").query)
        assert told.endswith('"testapp_author"."name" = a')
        assert conn.connection is None


# ----- what is set on it


@pytest.mark.parametrize("pooled", [False, True])
async def test_each_task_reads_the_schema_that_it_has_set(
    schemas: str, pooled: bool
) -> None:
    if pooled:
        pool = {"min_size": 0, "max_size": 4, "timeout": 30}
        connections.settings[schemas]["OPTIONS"] = {"pool": pool}
    authors = Author.objects.using(schemas)

    async def visit(number: int) -> None:
        name = SCHEMAS[number % 2]
        async with new_connection(schemas):
            assert not await authors.filter(name="public").aexists()
            with schema(name):
                await authors.acreate(pk=number + 1, name=name)
                assert {author.name async for author in authors.all()} == {name}
                assert (await authors.aget(pk=number + 1)).name == name
                async with transaction.atomic(using=schemas):
                    names = authors.values_list("name", flat=True).aiterator(2)
                    assert {each async for each in names} == {name}
                assert await run_sync(set, authors.values_list("name")) == {(name,)}
            assert not await authors.aexists()

    await asyncio.gather(*(visit(number) for number in range(40)))
    async with new_connection(schemas):
        for name in SCHEMAS:
            with schema(name):
                assert await authors.acount() == 20


async def test_another_connection_is_told_the_schema_again(schemas: str) -> None:
    authors = Author.objects.using(schemas)
    async with new_connection(schemas) as conn:
        connections[schemas].set_schema("one")
        await authors.acreate(name="a")
        victim = await abackend_pid(conn)
        await run_sync(_kill, victim)
        with pytest.raises(DatabaseError):
            await authors.acount()
        assert await authors.acount() == 1
        assert await abackend_pid(conn) != victim
        assert conn.schema == "one"


def _kill(victim: int) -> None:
    execute("SELECT pg_terminate_backend(%s, 1000)", [victim])


@pytest.mark.parametrize("alias", ["default", "pooled"])
async def test_queries_of_a_coroutine_are_seen(alias: str) -> None:
    authors, seen = Author.objects.using(alias), Queries()
    async with new_connection(alias):
        author = await authors.acreate(name="a")
        for _ in range(3):  # the last ones are like one before
            with connections[alias].execute_wrapper(seen):
                await authors.aget(pk=author.pk)
        assert len(seen) == 3
        await authors.aget(pk=author.pk)
        assert len(seen) == 3
        with CaptureQueriesContext(connections[alias]) as captured:
            await authors.aget(pk=author.pk)
            assert [found.pk async for found in authors.aiterator()] == [author.pk]
        assert len(captured) == 2
        assert not connections[alias].force_debug_cursor
        connections[alias].force_debug_cursor = True
        await authors.acount()
        reset_queries()
        assert connections[alias].queries == []
        await authors.acount()
        assert len(connections[alias].queries_log) == 1


@pytest.mark.parametrize("alias", ["default", "pooled"])
async def test_what_hooks_into_the_connection_itself_is_called(alias: str) -> None:
    authors = Author.objects.using(alias)
    async with new_connection(alias):
        author = await authors.acreate(name="a")
        await authors.aget(pk=author.pk)
        wrapper = connections[alias]
        wrapper.cursor = mock.Mock(side_effect=wrapper.cursor)
        wrapper.chunked_cursor = mock.Mock(side_effect=wrapper.chunked_cursor)
        await authors.aget(pk=author.pk)
        await authors.acount()
        assert [found.pk async for found in authors.all()] == [author.pk]
        assert wrapper.cursor.call_count == 3
        assert [found.pk async for found in authors.aiterator()] == [author.pk]
        assert wrapper.chunked_cursor.call_count == 1
    async with new_connection(alias):
        assert "cursor" not in vars(connections[alias])


async def test_the_state_of_a_transaction() -> None:
    called: list[str] = []
    async with new_connection():
        assert transaction.get_autocommit()
        assert not connection.in_atomic_block
        async with transaction.atomic():
            assert connection.in_atomic_block
            connection.on_commit(lambda: called.append("committed"))
            await Tag.objects.acreate(name="a")
            assert not called
        assert called == ["committed"]
        async with transaction.atomic():
            await Tag.objects.acreate(name="b")
            transaction.set_rollback(True)
            assert transaction.get_rollback()
        assert await Tag.objects.acount() == 1
        params = connections["default"].get_connection_params()
        assert connection.settings_dict["NAME"] == params["dbname"]
        connection.ensure_connection()


async def test_autocommit_before_the_connection_is_open() -> None:
    called: list[str] = []
    async with new_connection() as conn:
        assert transaction.get_autocommit()
        transaction.on_commit(lambda: called.append("at once"))
        assert called == ["at once"]
        assert conn.connection is None


# ----- what middleware sets on it


class SchemaMiddleware(MiddlewareMixin):
    """What packages for tenants have."""

    def process_request(self, request: Any) -> HttpResponse | None:
        name = request.GET["schema"]
        if name not in SCHEMAS:
            return HttpResponse("no such schema", status=404)
        connections["schemas"].set_schema("public")
        assert not Author.objects.using("schemas").exists()
        connections["schemas"].set_schema(name)
        return None


@sync_only_middleware
def synchronous(get_response: Any) -> Any:
    return get_response


async def aview(request: Any) -> JsonResponse:
    authors = Author.objects.using("schemas").values_list("name", flat=True)
    first = [name async for name in authors]
    await asyncio.sleep(0)
    async with transaction.atomic(using="schemas"):
        return JsonResponse(first + [name async for name in authors], safe=False)


def view(request: Any) -> JsonResponse:
    authors = Author.objects.using("schemas").values_list("name", flat=True)
    return JsonResponse([*authors, *authors], safe=False)


urlpatterns = [path("aview", aview), path("view", view)]
OURS = "django_async_fast.middleware.ConnectionMiddleware"
SCHEMA, SYNCHRONOUS = f"{__name__}.SchemaMiddleware", f"{__name__}.synchronous"


@pytest.fixture(params=["asynchronous", "behind synchronous middleware"])
def served(
    schemas: str, request: pytest.FixtureRequest, settings_override: Any
) -> None:
    for name in SCHEMAS:
        execute(f"INSERT INTO {name}.testapp_author VALUES (1, '{name}')")
    middle = [SYNCHRONOUS] if "behind" in request.param else []
    settings_override(
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[OURS, *middle, SCHEMA],
        DJANGO_ASYNC_FAST={"CONNECTION_MIDDLEWARE": [SCHEMA]},
    )


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("url", ["/aview", "/view"])
async def test_a_view_has_what_middleware_has_set(url: str) -> None:
    async def get(number: int) -> None:
        name = SCHEMAS[number % 2]
        async with ThreadSensitiveContext():  # a thread for each, as ASGIHandler has
            response = await AsyncClient().get(url, {"schema": name})
            assert response.json() == [name, name]
            await sync_to_async(connections.close_all)()

    await asyncio.gather(*(get(number) for number in range(20)))
    response = await AsyncClient().get(url, {"schema": "nonsense"})
    assert response.status_code == 404


def test_middleware_in_the_wrong_order_is_told(settings_override: Any) -> None:
    settings_override(DJANGO_ASYNC_FAST={"CONNECTION_MIDDLEWARE": [SCHEMA]})
    for middleware, told in (
        ([OURS, "nonsense.Nonsense", SCHEMA], []),
        ([SCHEMA], []),
        ([SYNCHRONOUS, SCHEMA, OURS], ["django_async_fast.E002"]),
    ):
        settings_override(MIDDLEWARE=middleware)
        assert [each.id for each in checks.check_middleware()] == told


# ----- what would have to wait


@pytest.mark.parametrize(
    ("owner", "name", "instead"),
    [
        (connection, "cursor", "async with async_connections['default'].acursor()"),
        (connection, "close", "async_connections['default'].aclose()"),
        (connection, "clean_savepoints", "transaction.aclean_savepoints('default')"),
        *(
            (owner, name, f"transaction.a{name}('default')")
            for owner in (connection, transaction)
            for name in ("commit", "rollback")
        ),
    ],
)
async def test_what_waits_is_refused(owner: Any, name: str, instead: str) -> None:
    async with new_connection():
        used = await abackend_pid()
        with pytest.raises(SynchronousOnlyOperation, match=re.escape(instead)):
            getattr(owner, name)()
        assert await abackend_pid() == used


async def test_connecting_and_autocommit_are_refused() -> None:
    async with new_connection() as conn:
        with pytest.raises(SynchronousOnlyOperation, match="aensure_connection"):
            connection.ensure_connection()
        used = await abackend_pid()
        with pytest.raises(bridge.BridgeError, match="run_sync"):
            transaction.set_autocommit(False)
        assert conn.autocommit
        assert await abackend_pid() == used


@pytest.mark.parametrize("open_", [False, True])
async def test_a_synchronous_atomic_is_refused(open_: bool) -> None:
    async with new_connection():
        if open_:
            await abackend_pid()
        with (
            pytest.raises(SynchronousOnlyOperation, match="write `async with trans"),
            transaction.atomic(),
        ):
            pytest.fail("entered")
        async with transaction.atomic():
            await Tag.objects.acreate(name="a")
        assert await Tag.objects.acount() == 1


async def test_an_async_on_commit_without_a_transaction() -> None:
    called: list[str] = []

    async def tell() -> None:
        called.append("told")

    async with new_connection():
        with pytest.raises(SynchronousOnlyOperation, match=r"`await tell\(\)`"):
            transaction.on_commit(tell)
        await run_sync(transaction.on_commit, tell)
        assert called == ["told"]


async def test_the_ends_of_requests_leave_the_connection_to_its_block() -> None:
    async with new_connection() as conn:
        close_old_connections()
        used = await abackend_pid()
        conn.errors_occurred = True
        close_old_connections()
        assert await abackend_pid() == used
        conn.connection.drop()
        close_old_connections()
        assert conn.connection is None
        assert await abackend_pid() != used

"""Cancelled, closed, cancelled again: at every await of what people do in a block."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from itertools import product
from typing import Any

import django
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

from django_async_fast import new_connection
from tests.testapp.models import Author, Novel, Tag

from .conftest import Watch, configured, pool_is_whole, pool_options
from .switches import MOST, Noise, Steps, broken_off, listening, run

LOOPS = ("asyncio", "uvloop")
HOWS = ("cancel", "twice", "always", "close")
ROWS = 10

Scenario = Callable[[], Coroutine[Any, Any, Any]]


# ----- what is broken off


async def get() -> None:
    async with new_connection():
        assert (await Author.objects.aget(name="first")).name == "first"


async def save() -> None:
    """Two tables, in the transaction that Django opens."""
    async with new_connection():
        author = await Author.objects.afirst()
        await Novel(title="new", genre="new", author=author).asave()


async def bulk_create() -> None:
    async with new_connection():
        batch = [Tag(name=f"new{i}") for i in range(ROWS)]
        await Tag.objects.abulk_create(batch, batch_size=4)


async def get_or_create() -> None:
    async with new_connection():
        await Tag.objects.aget_or_create(name="new")


async def nested() -> None:
    async with new_connection(), transaction.atomic():
        await Tag.objects.acreate(name="a")
        try:
            async with transaction.atomic():
                await Tag.objects.acreate(name="b")
                raise ValueError
        except ValueError:
            pass
        async with transaction.atomic():
            await Tag.objects.acreate(name="c")


async def siblings() -> None:
    """Children in one transaction, each in a savepoint of its own."""

    async def child(name: str) -> None:
        async with transaction.atomic():
            await Tag.objects.acreate(name=name)

    async with new_connection(), transaction.atomic(), asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(child(name))


async def left_by_break() -> None:
    async with new_connection():
        async for _ in Author.objects.aiterator(chunk_size=3):
            break
        assert await Author.objects.acount() == ROWS


async def left_by_aclose() -> None:
    async with new_connection(), transaction.atomic():
        rows = Author.objects.aiterator(chunk_size=3)
        async for _ in rows:
            break
        await rows.aclose()
        assert await Author.objects.acount() == ROWS


async def consumed() -> None:
    """A stream to its end, with other statements in the loop's body."""
    async with new_connection():
        seen = 0
        async for _ in Author.objects.aiterator(chunk_size=4):
            seen += 1
            if seen % 3 == 0:
                assert await Author.objects.acount() == ROWS
        assert seen == ROWS


async def checkout_and_return() -> None:
    async with new_connection() as conn, conn.acursor() as cursor:
        await cursor.execute("SELECT 1")


async def committing() -> None:
    async with new_connection():
        async with transaction.atomic():
            await Tag.objects.acreate(name="new")
            transaction.on_commit(lambda: _called.append("sync"))
            transaction.on_commit(_callback)
        assert _called == ["sync", "async"]


async def _callback() -> None:
    # The transaction has been committed: others see it.
    assert await Tag.objects.filter(name="new").aexists()
    await asyncio.sleep(0)
    _called.append("async")


async def manual() -> None:
    """Autocommit off, and left so."""
    async with new_connection() as conn:
        await transaction.aset_autocommit(False)
        await Tag.objects.acreate(name="new")
        await conn.acommit()
        await Tag.objects.acreate(name="left over")


_called: list[str] = []

TAGS = "SELECT coalesce(string_agg(name, ',' ORDER BY name), '') FROM testapp_tag"
NOVELS = (
    "SELECT count(*) || ',' || (SELECT count(*) FROM testapp_book) FROM testapp_novel"
)
ALL_NEW = ",".join(f"new{i}" for i in range(ROWS))

# What the server may hold afterwards: nothing of it, or all.
SCENARIOS: dict[Scenario, tuple[str, tuple[str, ...]]] = {
    get: (TAGS, ("",)),
    save: (NOVELS, ("0,0", "1,1")),
    bulk_create: (TAGS, ("", ALL_NEW)),
    get_or_create: (TAGS, ("", "new")),
    nested: (TAGS, ("", "a,c")),
    siblings: (TAGS, ("", "a,b,c")),
    left_by_break: (TAGS, ("",)),
    left_by_aclose: (TAGS, ("",)),
    consumed: (TAGS, ("",)),
    checkout_and_return: (TAGS, ("",)),
    committing: (TAGS, ("", "new")),
    manual: (TAGS, ("", "new")),
}


# ----- how


async def at_every_switch(
    watch: Watch, scenario: Scenario, how: str, pooled: bool
) -> None:
    query, allowed = SCENARIOS[scenario]
    for at in range(1, MOST):
        _called.clear()
        _fill(watch)
        happened, steps = await broken_off(scenario, at, how)
        where = f"at switch {at}"
        await watch.idle()
        left = watch.value(query)
        assert left in allowed, f"{where}: {left}"
        if _called:
            assert left, f"{where}: on_commit ran without a commit"
        if pooled:
            await pool_is_whole()
        else:
            await watch.gone()
        if not happened:
            assert left == allowed[-1]
            assert steps.count >= 2
            return
    raise AssertionError("the scenario has no end")


def _fill(watch: Watch) -> None:
    watch.connection.execute(
        "SET client_min_messages = error;"
        "TRUNCATE testapp_tag, testapp_book, testapp_author RESTART IDENTITY CASCADE"
    )
    names = ["first", *(f"author{i}" for i in range(1, ROWS))]
    watch.connection.execute(
        "INSERT INTO testapp_author (name) SELECT unnest(%s::text[])", [names]
    )


def _cases() -> Iterator[Any]:
    for scenario, how in product(SCENARIOS, HOWS):
        # A closed TaskGroup's children are orphans, and the loop says so.
        if (scenario, how) == (siblings, "close"):
            continue
        name = f"{scenario.__name__}-{how}"
        yield pytest.param(scenario, how, True, "asyncio", id=f"{name}-pooled")
        yield pytest.param(scenario, how, False, "asyncio", id=f"{name}-direct")
        if how in ("cancel", "close"):
            yield pytest.param(scenario, how, True, "uvloop", id=f"{name}-uvloop")


@pytest.mark.parametrize(("scenario", "how", "pooled", "loop"), list(_cases()))
def test_at_every_switch(
    watch: Watch, scenario: Scenario, how: str, pooled: bool, loop: str
) -> None:
    options = pool_options() if pooled else {}
    with configured(OPTIONS=options):
        run(loop, at_every_switch(watch, scenario, how, pooled))


# ----- a slot that one has to wait for


async def wait_for_a_slot(watch: Watch, how: str) -> None:
    async with new_connection():
        await Tag.objects.acount()
    for at in range(1, MOST):
        free = asyncio.Event()
        holding = asyncio.create_task(_hold(free))
        await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.02, free.set)
        happened, _ = await broken_off(checkout_and_return, at, how)
        free.set()
        await holding
        await watch.idle()
        await pool_is_whole()
        if not happened:
            return
    raise AssertionError("the scenario has no end")


async def _hold(free: asyncio.Event) -> None:
    async with new_connection():
        await Tag.objects.acount()
        await free.wait()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", HOWS)
def test_waiting_for_a_slot(watch: Watch, how: str, loop: str) -> None:
    with configured(OPTIONS=pool_options(min_size=1, max_size=1)):
        run(loop, wait_for_a_slot(watch, how))


# ----- a request


_around: Callable[[Coroutine[Any, Any, Any]], Any]


async def view(request: HttpRequest) -> HttpResponse:
    await _around(nested())
    return HttpResponse("done")


urlpatterns = [path("", view)]


async def requests(watch: Watch, how: str) -> None:
    global _around
    handler = ASGIHandler()
    for at in range(1, MOST):
        _fill(watch)
        steps: list[Steps] = []
        request = asyncio.create_task(_request(handler))

        def around(coroutine: Any, at: int = at, request: Any = request) -> Any:
            steps.append(Steps(coroutine, at, how, request.cancel))
            return steps[0]

        _around = around
        await asyncio.wait([request])
        await watch.idle()
        left = watch.value(TAGS)
        assert left in ("", "a,c"), left
        await pool_is_whole()
        if not steps[0].happened:
            assert (request.result(), left) == ([200], "a,c")
            return
        assert request.cancelled(), request
    raise AssertionError("the request has no end")


async def _request(handler: ASGIHandler) -> list[int]:
    sent: list[int] = []
    first = [{"type": "http.request", "body": b""}]

    async def receive() -> Any:
        if first:
            return first.pop()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if "status" in message:
            sent.append(message["status"])

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [],
        "query_string": b"",
    }
    await handler(scope, receive, send)
    return sent


@pytest.mark.skipif(
    django.VERSION < (6, 1),
    reason="before 6.1, Django's handler leaves the view's task and the body's file",
)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", ["cancel", "twice", "always"])
def test_a_request(
    watch: Watch, how: str, loop: str, settings_override: Callable[..., None]
) -> None:
    settings_override(ROOT_URLCONF=__name__)
    with configured(OPTIONS=pool_options()):
        run(loop, requests(watch, how))


# ----- the injection itself


async def test_the_task_is_suspended_when_it_is_cancelled() -> None:
    seen: list[str] = []

    async def scenario() -> None:
        try:
            await asyncio.sleep(0)
            seen.append("first")
            await asyncio.sleep(0.01)
            seen.append("second")
        except asyncio.CancelledError:
            seen.append("cancelled")
            await asyncio.sleep(0.01)
            seen.append("cleaned up")
            raise

    expected = {
        (1, "cancel"): ["cancelled", "cleaned up"],
        (2, "cancel"): ["first", "cancelled", "cleaned up"],
        (2, "twice"): ["first", "cancelled"],
        (2, "always"): ["first", "cancelled"],
        (2, "close"): ["first"],
        (3, "cancel"): ["first", "second"],
    }
    for (at, how), events in expected.items():
        seen.clear()
        happened, _ = await broken_off(scenario, at, how)
        assert (seen, happened) == (events, at < 3), (at, how)


def test_noise_is_heard() -> None:
    with listening() as noise:
        asyncio.sleep(0)
        with pytest.raises(AssertionError, match="never awaited"):
            noise.check()
    assert isinstance(noise, Noise)

"""F33: anyio's cancel scopes, which cancel every await again until the scope ends."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from django.db import transaction
from django.db.transaction import TransactionManagementError

from django_async_fast import new_connection
from tests.support.configured import configured, pool_is_whole, pool_options
from tests.support.every_await import Steps, run
from tests.testapp.models import Tag

from .conftest import Watch, connected
from .failing import sleep_on_the_server
from .scenarios import SCENARIOS, TAGS, Scenario
from .test_every_await import at_every_await

Case = Callable[[Watch], Coroutine[Any, Any, None]]


async def scope_cancelled(scenario: Scenario, at: int) -> tuple[bool, Steps]:
    """Run `scenario` in a scope that is cancelled at suspension `at`."""
    with anyio.CancelScope() as scope:
        steps = Steps(scenario(), at, "cancel", scope.cancel)
        await steps
    # anyio lets a task be whose awaited result has come, however often that is.
    assert scope.cancelled_caught == steps.interrupted, "the cancellation was lost"
    return steps.happened, steps


@pytest.mark.parametrize("where", ["asyncio", "uvloop", "direct"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
def test_f33_at_every_await(watch: Watch, scenario: Scenario, where: str) -> None:
    loop, options, settled = connected(watch, where)
    with configured(OPTIONS=options):
        run(loop, at_every_await(watch, scenario, scope_cancelled, settled))


async def the_server_sleeps(watch: Watch) -> None:
    while not any("pg_sleep" in query for _, _, query in watch.working()):
        await anyio.sleep(0.005)


@contextmanager
def cancelled_asleep(watch: Watch) -> Iterator[None]:
    """Cancel what runs inside when it has put the server to sleep."""

    async def cancel() -> None:
        await the_server_sleeps(watch)
        scope.cancel()

    with anyio.CancelScope() as scope:
        canceller = asyncio.create_task(cancel())
        yield
    assert scope.cancelled_caught
    assert canceller.done()


async def the_server_stops_too(watch: Watch) -> None:
    with cancelled_asleep(watch):
        async with new_connection() as conn:
            await sleep_on_the_server(conn, 30)
    await watch.idle()


async def the_block_goes_on(watch: Watch) -> None:
    async with new_connection() as conn:
        with cancelled_asleep(watch):
            await sleep_on_the_server(conn, 30)
        async with transaction.atomic():
            await Tag.objects.acreate(name="kept")
    assert watch.value(TAGS) == "kept"


async def an_atomic_block_in_a_scope(watch: Watch) -> None:
    async with new_connection() as conn:
        with cancelled_asleep(watch):
            async with transaction.atomic():
                await Tag.objects.acreate(name="gone")
                await sleep_on_the_server(conn, 30)
        await Tag.objects.acreate(name="kept")
    assert watch.value(TAGS) == "kept"


async def a_scope_in_an_atomic_block(watch: Watch) -> None:
    """The connection may be gone, and the transaction with it: never half of it."""
    async with new_connection() as conn:
        with pytest.raises(TransactionManagementError, match="broken off"):
            async with transaction.atomic():
                await Tag.objects.acreate(name="gone")
                with cancelled_asleep(watch):
                    await sleep_on_the_server(conn, 30)
        await Tag.objects.acreate(name="kept")
    assert watch.value(TAGS) == "kept"


async def a_sibling_fails(watch: Watch) -> None:
    async def fail() -> None:
        await the_server_sleeps(watch)
        raise ValueError

    async def work() -> None:
        async with new_connection() as conn, transaction.atomic():
            await Tag.objects.acreate(name="gone")
            await sleep_on_the_server(conn, 30)

    with pytest.raises(ExceptionGroup):
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            group.start_soon(fail)
    await watch.idle()
    assert not watch.value(TAGS)


async def a_shielded_block(watch: Watch) -> None:
    with anyio.move_on_after(0.1) as scope:
        with anyio.CancelScope(shield=True):
            async with new_connection(), transaction.atomic():
                await Tag.objects.acreate(name="kept")
                await asyncio.sleep(0.2)
        await anyio.sleep(0)
    assert scope.cancelled_caught
    assert watch.value(TAGS) == "kept"


CASES = (
    the_server_stops_too,
    the_block_goes_on,
    an_atomic_block_in_a_scope,
    a_scope_in_an_atomic_block,
    a_sibling_fails,
    a_shielded_block,
)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
@pytest.mark.parametrize("case", CASES, ids=lambda each: each.__name__)
def test_f33(case: Case, pooled: bool, loop: str, watch: Watch) -> None:
    async def main() -> None:
        await case(watch)
        await watch.idle()
        await (pool_is_whole() if pooled else watch.gone())

    with configured(OPTIONS=pool_options() if pooled else {}):
        run(loop, main())

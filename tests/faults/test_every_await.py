"""Cancelled, closed, cancelled again: at every await of what people do in a block."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import pytest

from django_async_fast import new_connection
from tests.support.configured import configured, pool_is_whole, pool_options
from tests.support.every_await import (
    HOWS,
    MOST,
    Noise,
    Steps,
    broken_off,
    listening,
    run,
)
from tests.testapp.models import Tag

from .conftest import Watch, connected
from .scenarios import (
    SCENARIOS,
    Scenario,
    called,
    checkout_and_return,
    fill,
    get,
    siblings,
    units,
)

LOOPS = ("asyncio", "uvloop")


async def at_every_await(
    watch: Watch,
    scenario: Scenario,
    break_off: Callable[[Scenario, int], Awaitable[tuple[bool, Steps]]],
    settled: Callable[[], Awaitable[None]],
) -> None:
    query, allowed = SCENARIOS[scenario]
    for at in range(1, MOST):
        fill(watch)
        happened, steps = await break_off(scenario, at)
        where = f"at await {at}"
        await watch.idle()
        left = watch.value(query)
        assert left in allowed, f"{where}: {left}"
        if called:
            assert left, f"{where}: on_commit ran without a commit"
        await settled()
        if not happened:
            assert left == allowed[-1]
            assert steps.count
            return
    raise AssertionError("the scenario has no end")


def _cases() -> Iterator[Any]:
    for scenario, how in product(SCENARIOS, HOWS):
        # A closed TaskGroup's children are orphans, and the loop says so.
        if scenario in (siblings, units) and how == "close":
            continue
        name = f"{scenario.__name__}-{how}"
        for where in ("asyncio", "uvloop", "direct", "plain"):
            # Without the debug mode only the timing differs.
            if where != "plain" or how in ("late", "close"):
                yield pytest.param(scenario, how, where, id=f"{name}-{where}")


@pytest.mark.parametrize(("scenario", "how", "where"), list(_cases()))
def test_at_every_await(watch: Watch, scenario: Scenario, how: str, where: str) -> None:
    break_off = partial(broken_off, how=how)
    loop, options, settled = connected(watch, where)
    with configured(OPTIONS=options):
        run(loop, at_every_await(watch, scenario, break_off, settled))


@pytest.mark.parametrize("how", HOWS)
def test_while_a_statement_is_prepared(watch: Watch, how: str) -> None:
    _, options, settled = connected(watch, "direct")
    with configured(OPTIONS=options | {"prepare_threshold": 0}):
        run(
            "asyncio", at_every_await(watch, get, partial(broken_off, how=how), settled)
        )


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


async def test_a_late_cancellation_loses_what_has_come() -> None:
    came: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def scenario() -> None:
        seen.append(await came)

    asyncio.get_running_loop().call_later(0.01, came.set_result, "result")
    happened, _ = await broken_off(scenario, 1, "late")
    assert (happened, came.result(), seen) == (True, "result", [])


def test_noise_is_heard() -> None:
    with listening() as noise:
        asyncio.sleep(0)
        with pytest.raises(AssertionError, match="never awaited"):
            noise.check()
    assert isinstance(noise, Noise)

"""The tools that run Django's suite with several classes at once."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

import pytest

from tools.conformance import turns
from tools.conformance.recording import worker


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> turns.Turn:
    turn = turns.Turn()
    monkeypatch.setattr(turns, "turn", turn)
    return turn


def start(number: int, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    context = contextvars.copy_context()
    context.run(worker.set, number)
    return asyncio.get_running_loop().create_task(work, context=context)


async def test_nobody_runs_while_another_worker_has_the_turn(turn: turns.Turn) -> None:
    seen = []

    async def change() -> None:
        await asyncio.sleep(0)
        turn.take("settings")
        for _ in range(3):
            seen.append("changed")
            await asyncio.sleep(0)
        turn.give("settings")

    async def look() -> None:
        for _ in range(6):
            seen.append("looks")
            await asyncio.sleep(0)

    turns.pace(asyncio.get_running_loop())
    await asyncio.gather(start(1, change()), start(2, look()))
    first = seen.index("changed")
    assert 0 < first < len(seen) - 3
    assert seen[first : first + 3] == ["changed"] * 3
    assert seen.count("looks") == 6


async def test_a_cancelled_task_is_told_when_its_turn_comes(turn: turns.Turn) -> None:
    async def hold() -> None:
        turn.take("settings")
        await asyncio.sleep(0.2)
        told.append("given")
        turn.give("settings")

    async def wait() -> None:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    told: list[str] = []
    turns.pace(asyncio.get_running_loop())
    waiting = start(2, wait())
    holding = start(1, hold())
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.wait([waiting, holding])
    assert waiting.cancelled()
    assert told == ["given", "cancelled"]


async def test_classes_with_other_apps_wait_for_each_other() -> None:
    inside: list[Any] = []
    most: list[int] = []
    worlds = turns.Worlds()

    def suite(*apps: str) -> Any:
        case = type("Case", (), {"available_apps": list(apps)})
        return [case()]

    async def run(apps: Any) -> None:
        async with worlds.of(apps):
            inside.append(turns.world(apps))
            await asyncio.sleep(0)
            assert len(set(inside)) == 1
            most.append(len(inside))
            inside.remove(turns.world(apps))

    await asyncio.gather(*(run(suite(name)) for name in ["a", "b", "a", "b", "a"]))
    assert max(most) > 1
    assert len(most) == 5

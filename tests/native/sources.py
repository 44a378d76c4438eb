"""Sources of batches that say what an iterator has asked of them."""

import asyncio
import inspect
from typing import Any

import pytest

rows = pytest.importorskip("django_async_fast._rows")


class Source:
    """An asynchronous source of batches, awaitables and errors that keeps a diary."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.diary: list[str] = []

    def __call__(self) -> Any:
        return self.fetch()

    async def fetch(self) -> Any:
        self.diary.append("fetch")
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, BaseException):
            raise step
        if inspect.isawaitable(step):
            return await step
        return step

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.diary.append("aclose")

    def abandon(self) -> None:
        self.diary.append("abandon")


async def collect(iterator: Any) -> list[Any]:
    return [item async for item in iterator]


async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


class SyncSource:
    """A source of batches and errors that counts how often it is closed."""

    def __init__(self, *steps: Any) -> None:
        self.steps, self.closed = list(steps), 0

    def __call__(self) -> Any:
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, BaseException):
            raise step
        return step

    def close(self) -> None:
        self.closed += 1


class Stopping:
    """Raises what would pass for the end of the rows (PEP 479)."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __call__(self, *_: Any) -> Any:
        raise self.error


def stopping_batch(error: type[BaseException]) -> Any:
    plan = rows.TuplePlan(width=1, converters=[(0, (Stopping(error),), None)])
    return rows.TupleBatch(plan, [(1,)])

"""Coroutines that are driven, and waits of synchronous code below them."""

import asyncio
import contextvars
from pathlib import Path
from typing import Any

from django_async_fast import bridge

VAR: contextvars.ContextVar[int] = contextvars.ContextVar("VAR", default=0)
ROOT = Path(__file__).parents[2]


async def driven(coroutine: Any) -> Any:
    return await bridge.run(bridge.drive, coroutine)


def wait(seconds: float = 0.0) -> None:
    """Wait as a query does, in synchronous code."""
    bridge.await_(asyncio.sleep(seconds))

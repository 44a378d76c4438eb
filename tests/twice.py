"""One program, run twice: with Django's synchronous methods, and in a block.

A program is `async def program(do)`; `await do(objects, "get", pk=1)` means `get()` or
`aget()`, `await do(function)` a synchronous function of the project's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from typing import Any

from asgiref.sync import async_to_sync
from django.db import connections

from django_async_fast import async_connections, new_connection, run_sync
from tests.told import NUMBERED, told

ALIASES = ("default", "other")

Do = Callable[..., Awaitable[Any]]
Program = Callable[[Do], Coroutine[Any, Any, None]]


class Recorder:
    """What each step returned or raised, and what every alias was asked."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def query(
        self, execute: Any, sql: str, params: Any, many: Any, context: Any
    ) -> Any:
        alias = context["connection"].alias
        self.steps.append((alias, NUMBERED.sub("#", sql), told(params)))
        return execute(sql, params, many, context)

    def note(self, name: str, result: Any) -> Any:
        if isinstance(result, Exception):
            self.steps.append((name, type(result), str(result)))
            return None
        self.steps.append((name, told(result)))
        return result


def synchronously(program: Program) -> list[Any]:
    recorder = Recorder()

    async def do(target: Any, name: str = "", /, *args: Any, **named: Any) -> Any:
        try:
            return recorder.note(name, _call(target, name, args, named))
        except Exception as exc:
            return recorder.note(name, exc)

    with ExitStack() as stack:
        for alias in ALIASES:
            wrapped = connections[alias].execute_wrapper(recorder.query)
            stack.enter_context(wrapped)
        _drive(program(do))
    return recorder.steps


def _call(target: Any, name: str, args: Any, named: Any) -> Any:
    if name == "iterate":
        return list(target)
    return getattr(target, name)(*args, **named) if name else target()


def _drive(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing, with no event loop in sight."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("the program has awaited something else than `do`")


def in_a_block(program: Program) -> list[Any]:
    recorder = Recorder()

    async def do(target: Any, name: str = "", /, *args: Any, **named: Any) -> Any:
        try:
            return recorder.note(name, await _acall(target, name, args, named))
        except Exception as exc:
            return recorder.note(name, exc)

    async def run() -> None:
        async with new_connection():
            for alias in ALIASES:
                async_connections[alias].execute_wrappers.append(recorder.query)
            await program(do)

    async_to_sync(run)()
    return recorder.steps


async def _acall(target: Any, name: str, args: Any, named: Any) -> Any:
    if name == "iterate":
        return [row async for row in target]
    if name:
        return await getattr(target, f"a{name}")(*args, **named)
    return await run_sync(target)

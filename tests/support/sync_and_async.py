"""One program, run twice: with Django's synchronous methods, and in a block."""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync
from django.db import connections

from django_async_fast import async_connections, new_connection, run_sync

from .describe import NUMBERED, described
from .programs import Program, acall, call, drive

ALIASES = ("default", "other")


class Recorder:
    """What each step returned or raised, and what every alias was asked."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def query(
        self, execute: Any, sql: str, params: Any, many: Any, context: Any
    ) -> Any:
        alias = context["connection"].alias
        self.steps.append((alias, NUMBERED.sub("#", sql), described(params)))
        return execute(sql, params, many, context)

    def doing(self, done: Callable[..., Awaitable[Any]]) -> Any:
        """Return a program's `do`, whose steps are done so."""

        async def do(target: Any, name: str = "", /, *args: Any, **named: Any) -> Any:
            try:
                result = await done(target, name, args, named)
            except Exception as exc:
                self.steps.append((name, type(exc), str(exc)))
                return None
            self.steps.append((name, described(result)))
            return result

        return do


def synchronously(program: Program) -> list[Any]:
    recorder = Recorder()

    async def done(*step: Any) -> Any:
        return call(*step)

    with ExitStack() as stack:
        for alias in ALIASES:
            wrapped = connections[alias].execute_wrapper(recorder.query)
            stack.enter_context(wrapped)
        drive(program(recorder.doing(done)))
    return recorder.steps


def in_a_block(program: Program) -> list[Any]:
    recorder = Recorder()

    async def run() -> None:
        async with new_connection():
            for alias in ALIASES:
                async_connections[alias].execute_wrappers.append(recorder.query)
            await program(recorder.doing(partial(acall, run_sync)))

    async_to_sync(run)()
    return recorder.steps

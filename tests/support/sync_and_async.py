"""One program, run twice: with Django's synchronous methods, and in a block."""

from contextlib import ExitStack
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

    def note(self, name: str, result: Any) -> Any:
        if isinstance(result, Exception):
            self.steps.append((name, type(result), str(result)))
            return None
        self.steps.append((name, described(result)))
        return result


def synchronously(program: Program) -> list[Any]:
    recorder = Recorder()

    async def do(target: Any, name: str = "", /, *args: Any, **named: Any) -> Any:
        try:
            return recorder.note(name, call(target, name, args, named))
        except Exception as exc:
            return recorder.note(name, exc)

    with ExitStack() as stack:
        for alias in ALIASES:
            wrapped = connections[alias].execute_wrapper(recorder.query)
            stack.enter_context(wrapped)
        drive(program(do))
    return recorder.steps


def in_a_block(program: Program) -> list[Any]:
    recorder = Recorder()

    async def do(target: Any, name: str = "", /, *args: Any, **named: Any) -> Any:
        try:
            return recorder.note(name, await acall(run_sync, target, name, args, named))
        except Exception as exc:
            return recorder.note(name, exc)

    async def run() -> None:
        async with new_connection():
            for alias in ALIASES:
                async_connections[alias].execute_wrappers.append(recorder.query)
            await program(do)

    async_to_sync(run)()
    return recorder.steps

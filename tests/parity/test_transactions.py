"""Programs of `transaction`'s functions: asynchronous ones end like synchronous ones.

Each step's result or error, each statement, and what is committed must be equal.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from django_async_fast import new_connection
from django_async_fast.transaction import ADDED
from tests.support.describe import NUMBERED
from tests.support.programs import drive
from tests.testapp.models import Tag

# Steps are "name" or "name: argument". These are functions of `transaction`, without
# the "a"; `atomic` and `end` enter and leave a block.
FUNCTIONS = (
    *("commit", "rollback", "savepoint", "savepoint_commit", "savepoint_rollback"),
    *("clean_savepoints", "get_autocommit", "set_autocommit: True"),
    *("set_autocommit: False", "get_rollback", "set_rollback: True"),
    "set_rollback: False",
)
STEPS = [*FUNCTIONS, "atomic", "atomic: durable", "end", "end: failing", "create", "duplicate"]  # fmt: skip
# A context manager: test_scopes.py has it.
CONTEXT_MANAGER = "amark_for_rollback_on_error"

ARGUMENTS = {"True": (True,), "False": (False,)}
RENAMED = {"savepoint": getattr(transaction, "savepoint_create", transaction.savepoint)}


Call = Callable[..., Awaitable[Any]]


def test_every_function_is_in_the_programs() -> None:
    called = {ADDED[f"a{step.partition(':')[0]}"] for step in FUNCTIONS}
    assert called == set(ADDED.values()) - {ADDED[CONTEXT_MANAGER]}


class Program:
    """The state of one run: open blocks, savepoints, what each step has done."""

    def __init__(self, steps: list[str]) -> None:
        # As `with` does, leave what has been entered.
        steps = [*steps, *["end"] * len(steps)]
        self.steps = [step.partition(": ")[::2] for step in steps]
        self.blocks: list[Any] = []
        self.savepoints: list[Any] = []
        self.done: list[Any] = []

    def arguments(self, name: str, argument: str) -> tuple[Any, ...]:
        if name in ("savepoint_commit", "savepoint_rollback"):
            return (self.savepoints[-1] if self.savepoints else "s0_x0",)
        return ARGUMENTS.get(argument, ())

    def note(self, name: str, result: Any) -> None:
        if name == "savepoint" and isinstance(result, str):
            self.savepoints.append(result)
            result = "a savepoint"
        if isinstance(result, Exception):
            cause = type(result.__cause__)
            result = type(result), NUMBERED.sub("#", str(result)), cause
        self.done.append((name, result))

    def tag(self, name: str) -> Tag:
        return Tag(name="same" if name == "duplicate" else f"t{len(self.done)}")

    async def run(self, conn: Any, call: Call) -> tuple[list[Any], list[str]]:
        with CaptureQueriesContext(conn) as queries:
            for name, argument in self.steps:
                try:
                    self.note(name, await self.step(call, name, argument))
                except Exception as exc:
                    self.note(name, exc)
        # None is a statement that Django before 6.0 cannot tell in a broken transaction.
        return self.done, [NUMBERED.sub("#", str(query["sql"])) for query in queries]

    async def step(self, call: Call, name: str, argument: str) -> Any:
        if name == "atomic":
            block = transaction.atomic(durable=bool(argument))
            await call(block, "__enter__")
            self.blocks.append(block)
            return None
        if name == "end":
            failure = ZeroDivisionError() if argument else None
            ending = failure and ZeroDivisionError, failure, None
            return self.blocks and await call(self.blocks.pop(), "__exit__", *ending)
        if name in ("create", "duplicate"):
            return await call(self.tag(name), "save")
        return await call(transaction, name, *self.arguments(name, argument))


def run(steps: list[str]) -> tuple[list[Any], list[str]]:
    async def call(target: Any, name: str, *args: Any) -> Any:
        return (RENAMED.get(name) or getattr(target, name))(*args)

    return drive(Program(steps).run(connection, call))


async def arun(steps: list[str]) -> tuple[list[Any], list[str]]:
    async def call(target: Any, name: str, *args: Any) -> Any:
        name = name.replace("__", "__a", 1) if name.startswith("__") else f"a{name}"
        return await getattr(target, name)(*args)

    async with new_connection() as conn:
        await conn.aensure_connection()
        return await Program(steps).run(conn, call)


def committed(runner: Callable[[list[str]], Any], steps: list[str]) -> Any:
    """Return what the program did, and what it left behind."""
    forget_connection()
    Tag.objects.all().delete()
    Tag.objects.create(name="same")
    done = runner(steps)
    forget_connection()
    left = list(Tag.objects.order_by("name").values_list("name", flat=True))
    return done, left


def forget_connection() -> None:
    """Let synchronous code begin with a new connection, as a block does."""
    connection.close()
    del connections[DEFAULT_DB_ALIAS]


@settings(max_examples=100, derandomize=True)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=10))
def test_programs(steps: list[str]) -> None:
    assert committed(async_to_sync(arun), steps) == committed(run, steps)

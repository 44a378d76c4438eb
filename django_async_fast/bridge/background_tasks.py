"""Tasks that nobody awaits. A loop keeps no reference to its tasks."""

from asyncio import AbstractEventLoop, Task
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_under_way: set[Task[Any]] = set()


def begin_task(loop: AbstractEventLoop, work: Coroutine[Any, Any, T]) -> Task[T]:
    """Return a task of `loop` that is kept until it is done."""
    task = loop.create_task(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return task

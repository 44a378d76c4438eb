"""In debug mode: tell of queries that leave the block through a thread.

A thread uses Django's own connections. Its queries see nothing of the block's
transaction, and are not undone with it.
"""

from __future__ import annotations

import copy
import warnings
from contextlib import ExitStack
from functools import partial
from types import FrameType
from typing import Any

from asgiref.sync import SyncToAsync
from django.db import connections

from ..bridge import users_code

# Where Django itself asks for a thread, it is meant: synchronous views and
# middleware, hashers, files.
_MEANT = ("asyncio.", "django.", "django_async_fast.")


class OutsideBlockWarning(RuntimeWarning):
    """A query of a block's code ran outside of the block, in a thread."""


def watched(
    call: SyncToAsync[Any, Any], block: users_code.Place, frame: FrameType | None
) -> SyncToAsync[Any, Any]:
    """Return `call`, made in `frame`, so that it warns when it queries."""
    while frame is not None and _module(frame).startswith("asgiref."):
        frame = frame.f_back
    if frame is None or _module(frame).startswith(_MEANT):
        return call
    watching = copy.copy(call)
    watching.func = partial(_run, _Warner(call.func, block, frame), call.func)
    return watching


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


class _Warner:
    """Wraps the execution of queries, as `connection.execute_wrapper()` has it."""

    def __init__(self, func: Any, block: users_code.Place, frame: FrameType) -> None:
        self.name = getattr(func, "__qualname__", repr(func))
        self.block = block
        self.place = frame.f_code.co_filename, frame.f_lineno
        self.module = _module(frame)
        # Python's own record of what has been told where.
        self.registry = frame.f_globals.setdefault("__warningregistry__", {})

    def __call__(
        self, execute: Any, sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        alias = context["connection"].alias
        warnings.warn_explicit(
            f"sync_to_async({self.name}) queried '{alias}' in a thread, over Django's "
            "own connection. It is not part of the new_connection() block entered at "
            f"{users_code.told(self.block)}, and sees none of its uncommitted changes: "
            f"use `await run_sync({self.name}, ...)`.",
            OutsideBlockWarning,
            *self.place,
            self.module,
            self.registry,
        )
        return execute(sql, params, many, context)


def _run(warner: _Warner, func: Any, *args: Any, **kwargs: Any) -> Any:
    with ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(warner))
        return func(*args, **kwargs)

"""Which functions of Django's and psycopg's somebody has replaced, and what that costs.

What is replaced is called as often as in stock Django; what stands before it here is
left out. `unpatched.py` says what counts as replaced.
"""

from collections import defaultdict
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper
from django.db.models import Model, QuerySet
from django.db.models.query import ModelIterable
from django.db.models.sql.compiler import SQLCompiler
from django.db.transaction import Atomic

from ..unpatched import is_like
from .findings import Finding, listed, note, ok

_OURS = __package__.partition(".")[0]
# Where the seams stand before what Django has inherited.
_DJANGOS = ("django", "psycopg", "contextlib")
_CURSORS = "statements and rows go through Django's cursors"
_BUILT = "querysets are built and compiled by Django each time"
_CONNECTED = "blocks connect by Django's own steps"
# What is looked at, and what somebody's hooks in it cost.
_LOOKED_AT: dict[type[Any], str] = {
    Model: "instances are made by Django's from_db()",
    **dict.fromkeys((QuerySet, ModelIterable, SQLCompiler), _BUILT),
    **dict.fromkeys((CursorWrapper, CursorDebugWrapper, psycopg.Cursor), _CURSORS),
    **dict.fromkeys((BaseDatabaseWrapper, DatabaseWrapper), _CONNECTED),
    psycopg.Connection: _CONNECTED,
    Atomic: "transactions are entered through it",
}


def findings() -> Iterator[Finding]:
    """Yield a line for each tool that has hooked in, and what it makes slower."""
    found: dict[str, set[str]] = defaultdict(set)
    costs: dict[str, set[str]] = defaultdict(set)
    for owner, cost in _LOOKED_AT.items():
        for name, value in list(vars(owner).items()):
            if is_like(owner, owner, (name,)):
                continue
            who = origin(value)
            # Django's own may call what has been replaced in a class below.
            if who and not owner.__module__.startswith(f"{who}."):
                found[who].add(f"{owner.__qualname__}.{name}")
                costs[who].add(cost)
    for who, names in sorted(found.items()):
        yield note(
            f"{who} has replaced {listed(names)}: it sees every call, and "
            f"{'; '.join(sorted(costs[who]))}",
            "nothing to do: switch it off where its cost matters",
        )
    if not found:
        yield ok("nobody has replaced what is looked at in Django and psycopg")


def origin(value: Any) -> str:
    """Return the package whose function `value` is; '' where it is one of the seams."""
    # wrapt's proxies have the module of what they are around.
    value = getattr(value, "_self_wrapper", value)
    value = getattr(value, "__func__", value)
    if type(value) is FunctionType:
        name = value.__globals__.get("__name__", "")
    else:
        name = type(value).__module__
    package = str(name).partition(".")[0] or "somebody"
    return package if package != _OURS else _origin_inside(value)


def _origin_inside(seam: Any) -> str:
    before = getattr(seam, "__wrapped__", None)
    package = "" if before is None else origin(before)
    return "" if package in _DJANGOS else package

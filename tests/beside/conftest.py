"""Runs a tool in a process of its own, on a copy of a database made for the tool."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.beside.child import tool
from tests.support.fresh_python import ended
from tests.support.needed import needed
from tools.postgres import database

TIMEOUT = 120.0

Watch = Callable[[str, str, str], dict[str, Any]]


@pytest.fixture(scope="session")
def watch(server_dsn: str) -> Iterator[Watch]:
    """Return a function that tells what a tool saw, at a moment, in one of WAYS."""
    with ExitStack() as stack:
        prepared: dict[str, str] = {}
        known: dict[tuple[str, str, str], dict[str, Any]] = {}

        def watched(name: str, moment: str, way: str) -> dict[str, Any]:
            if name not in prepared:
                copied = name.replace(":", "_").lower()
                prepared[name] = f"django_async_fast_beside_{copied}"
                made = stack.enter_context(database(server_dsn, prepared[name]))
                _child(made, name, "prepare")
            if (name, moment, way) not in known:
                copy = f"{prepared[name]}_run"
                with database(server_dsn, copy, template=prepared[name]) as dsn:
                    answer = _child(dsn, name, moment, way)
                known[name, moment, way] = json.loads(answer.splitlines()[-1])
            return known[name, moment, way]

        yield watched


def _child(dsn: str, *arguments: str) -> str:
    module = "-m", "tests.beside.child"
    done = ended(*module, *arguments, timeout=TIMEOUT, DATABASE_URL=dsn)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}:\n{done.stderr}")
    return done.stdout


@pytest.fixture
def installed_tool(name: str) -> str:
    """Return the tool's name; skip, or fail where all are required, without it."""
    needed(tool(name).package)
    return name

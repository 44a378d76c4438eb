"""Runs a tool in a process of its own, on a copy of a database made for the tool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import pytest

from tests.beside.child import tool
from tools.postgres import database

TIMEOUT = 120.0
# Set by `make test-beside`, which installs the tools: then none may be missing.
REQUIRED = "BESIDE_REQUIRED"

Watch = Callable[[str, str, str], dict[str, Any]]


@pytest.fixture(scope="session")
def watch(server_dsn: str) -> Iterator[Watch]:
    """Return a function that tells what a tool saw, at a moment, in one of WAYS."""
    with ExitStack() as stack:
        prepared: dict[str, str] = {}
        known: dict[tuple[str, str, str], dict[str, Any]] = {}

        def watched(name: str, moment: str, way: str) -> dict[str, Any]:
            if name not in prepared:
                prepared[name] = _database_name(name)
                made = stack.enter_context(database(server_dsn, prepared[name]))
                _child(made, name, "prepare")
            if (name, moment, way) not in known:
                copy = f"{prepared[name]}_run"
                with database(server_dsn, copy, template=prepared[name]) as dsn:
                    answer = _child(dsn, name, moment, way)
                known[name, moment, way] = json.loads(answer.splitlines()[-1])
            return known[name, moment, way]

        yield watched


def _database_name(name: str) -> str:
    return "django_async_fast_beside_" + name.replace(":", "_").lower()


def _child(dsn: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "tests.beside.child", *arguments]
    environ = os.environ | {"DATABASE_URL": dsn}
    environ.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=TIMEOUT
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}:\n{done.stderr}")
    return done.stdout


@pytest.fixture
def installed_tool(name: str) -> str:
    """Return the tool's name; skip, or fail where all are required, without it."""
    package = tool(name).package
    if _is_installed(package):
        return name
    if REQUIRED in os.environ:
        pytest.fail(f"{package} is not installed")
    pytest.skip(f"{package} is not installed (make test-beside installs it)")


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # what it is a part of
        return False

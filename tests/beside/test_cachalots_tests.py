"""django-cachalot's own tests pass with the package as in stock Django.

It puts wrappers around `Atomic` and the SQL compilers in `ready()`, and takes them off
again: before ours, or after.
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tests.support.fresh_python import ended

TIMEOUT = 400.0


@pytest.fixture(scope="module")
def outcome(system_dsn: str) -> Callable[[str], dict[str, Any]]:
    """Return a function that runs the tests: `outcome("last")`."""

    @cache
    def run(place: str) -> dict[str, Any]:
        module = "-m", "tests.beside.cachalots_tests"
        done = ended(*module, place, timeout=TIMEOUT, DATABASE_URL=system_dsn)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("name", ["cachalot:Cachalot"])
def test_its_tests_pass_as_in_stock(
    installed_tool: str, place: str, outcome: Callable[[str], dict[str, Any]]
) -> None:
    stock, ours = outcome("stock"), outcome(place)
    assert stock["ran"] > 100, stock
    assert ours == stock

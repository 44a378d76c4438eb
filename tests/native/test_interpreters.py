"""One interpreter, with its lock: what the compiled parts declare, and who else is refused."""

import sys

import pytest

from tests.support.fresh_python import ended

PARTS = ["_rows", "_decode"]

# Under its own lock, and under the one that the first interpreter has.
ANOTHER = """
import importlib, sys
import _interpreters as interpreters

name = f"django_async_fast.{sys.argv[1]}"
sys.path[:] = sys.argv[2:]
importlib.import_module(name)
for config in ("isolated", "legacy"):
    other = interpreters.create(config)
    interpreters.exec(other, f"import sys; sys.path[:] = {sys.path!r}")
    failed = interpreters.exec(other, f"import {name}")
    assert failed.type.__name__ == "ImportError", failed
    print(failed.msg)
    interpreters.destroy(other)
"""


@pytest.mark.parametrize("part", PARTS)
def test_another_interpreter_is_refused(part: str) -> None:
    pytest.importorskip(f"django_async_fast.{part}")
    pytest.importorskip("_interpreters", reason="new in Python 3.13")
    # A process of its own: what an interpreter that ends leaves behind in the first one,
    # and in modules that know of no second, is not to be met by other tests.
    run = ended("-X", "faulthandler", "-c", ANOTHER, part, *sys.path)
    assert run.returncode == 0, run.stderr
    for refusal in run.stdout.splitlines():
        assert "interpreter" in refusal
    assert len(run.stdout.splitlines()) == 2


@pytest.mark.parametrize("part", PARTS)
def test_the_lock_comes_back(part: str) -> None:
    """A free-threaded Python turns its lock on for a module that does not object to it."""
    pytest.importorskip(f"django_async_fast.{part}")
    code = f"import sys, django_async_fast.{part}; print(sys._is_gil_enabled())"
    if sys.version_info < (3, 13):
        pytest.skip("there is always a lock")
    assert ended("-W", "ignore", "-c", code).stdout == "True\n"

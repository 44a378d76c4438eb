"""Out of memory at every single allocation: an error, and nothing crashes or is lost."""

import subprocess
import sys

import pytest

pytest.importorskip("_testcapi", reason="a Python without its test modules")
pytest.importorskip("django_async_fast._rows")

pytestmark = pytest.mark.core


def test_every_allocation_that_fails() -> None:
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.native.no_memory"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"{run.stdout[-200:]}\n{run.stderr[-4000:]}"

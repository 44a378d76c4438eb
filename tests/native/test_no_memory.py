"""Out of memory at every single allocation: an error, and nothing crashes or is lost."""

import pytest

from tests.support.fresh_python import ended

pytest.importorskip("_testcapi", reason="a Python without its test modules")
pytest.importorskip("django_async_fast._rows")

pytestmark = pytest.mark.core


def test_every_allocation_that_fails() -> None:
    run = ended("-X", "faulthandler", "-m", "tests.native.no_memory", timeout=300)
    assert run.returncode == 0, f"{run.stdout[-200:]}\n{run.stderr[-4000:]}"

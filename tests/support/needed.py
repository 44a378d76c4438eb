"""Other people's packages that some tests run beside ours."""

import os
from importlib.util import find_spec

import pytest

# Set by `make test-beside`, which installs them: then none may be missing.
REQUIRED = "BESIDE_REQUIRED"


def needed(package: str) -> None:
    """Skip the test without `package`; fail it where all are required."""
    if _is_installed(package):
        return
    if REQUIRED in os.environ:
        pytest.fail(f"{package} is not installed")
    pytest.skip(f"{package} is not installed (make test-beside installs it)")


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # what it is a part of
        return False

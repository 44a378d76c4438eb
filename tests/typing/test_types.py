"""What mypy and pyright make of a project that uses the package.

`shop` asserts the type of everything public, and `shop/misuse.py` has what must be
refused. Types of Django's are django-stubs'.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import django_async_fast
from django_async_fast import transaction

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# Set by `make test-typing`, which installs the checkers: then none may be missing.
REQUIRED = "TYPING_REQUIRED" in os.environ
PUBLIC = [
    *(f"django_async_fast.{name}" for name in django_async_fast.__all__),
    *(f"django_async_fast.transaction.{name}" for name in transaction.__all__),
]
REVEALED = re.compile(r':(\d+): note: Revealed type is "(.*)"')


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = not REQUIRED and None in map(find_spec, modules)
    return pytest.mark.skipif(missing, reason="`make test-typing` installs it")


def run(
    module: str, *arguments: str | Path, cwd: Path = HERE
) -> subprocess.CompletedProcess[str]:
    # Not through an editable install: checkers do not follow its hook.
    environ = os.environ | {"MYPYPATH": str(ROOT), "PYTHONPATH": f"{HERE}:{ROOT}"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=110,
    )


@needs("mypy_django_plugin")
def test_mypy_accepts_what_a_project_does_and_refuses_misuse() -> None:
    done = run("mypy", "--config-file", "mypy.ini", "-p", "shop")
    assert done.returncode == 0, done.stdout + done.stderr


@needs("mypy_django_plugin", "pyright")
def test_pyright_accepts_what_a_project_does_and_refuses_misuse() -> None:
    asked = run("pyright", "--version")
    if asked.returncode and not REQUIRED:
        pytest.skip(f"pyright has no node: {asked.stderr.splitlines()[-1]}")
    done = run("pyright", "--pythonpath", sys.executable)
    assert done.returncode == 0, done.stdout + done.stderr


@needs("mypy_django_plugin")
def test_no_public_name_is_any(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    lines = ["import django_async_fast.transaction"]
    program.write_text("\n".join(lines + [f"reveal_type({name})" for name in PUBLIC]))
    done = run("mypy", "--config-file", HERE / "mypy.ini", program)
    revealed = {
        PUBLIC[int(line) - 2]: found for line, found in REVEALED.findall(done.stdout)
    }
    assert revealed.keys() == set(PUBLIC), done.stdout + done.stderr
    assert [name for name, found in revealed.items() if found == "Any"] == []


@needs("mypy")
def test_the_stubs_of_the_compiled_parts_are_what_they_have() -> None:
    parts = "django_async_fast._rows", "django_async_fast._decode"
    config = (
        "--mypy-config-file",
        "pyproject.toml",
        "--allowlist",
        "native/stubs_allowed",
    )
    done = run("mypy.stubtest", *config, *parts, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr

"""Which room may import which, and the paths that users import."""

import re
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest

ROOT = Path(__file__).parents[2]
IMPORTED = re.compile(r"from (django_async_fast[\w.]*) import (\w+(?:, \w+)*)")
DOTTED = re.compile(r"\bdjango_async_fast(?:\.[A-Za-z_]+)+(?![\w.]*\*)")
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]


def test_imports_point_down() -> None:
    """The contract in pyproject.toml: `make lint` shows the same."""
    linter = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", linter, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout


def documented() -> set[str]:
    """Return the dotted paths into the package that a page names."""
    text = "\n".join(page.read_text() for page in PAGES)
    imported = {
        f"{module}.{name}"
        for module, names in IMPORTED.findall(text)
        for name in names.split(", ")
    }
    return imported | set(DOTTED.findall(text))


@pytest.mark.parametrize("path", sorted(documented()))
def test_a_documented_path_can_be_imported(path: str) -> None:
    assert resolve_name(path)


def test_the_documentation_names_what_users_import() -> None:
    assert documented() >= {
        "django_async_fast.asgi.get_asgi_application",
        "django_async_fast.middleware.ConnectionMiddleware",
        "django_async_fast.new_connection",
        "django_async_fast.test.TestCase",
        "django_async_fast.transaction.atomic",
    }

"""docs/architecture.md names files that exist, and says which imports are late."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGE = ROOT / "django_async_fast"
FILE = re.compile(r"`([\w/.]+/[\w.]+\.(?:py|rs|pxi|toml))`")


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def way(title: str) -> list[str]:
    """Return the files of a way, in order."""
    rows = [line for line in section(title).splitlines() if line.startswith("| `")]
    return [FILE.findall(row)[0] for row in rows]


@pytest.mark.parametrize("name", sorted(set(FILE.findall(PAGE))))
def test_a_file_that_is_named_exists(name: str) -> None:
    assert (ROOT / name).exists() or (PACKAGE / name).exists()


@pytest.mark.parametrize("title", ["The way of a row", "The way of a get"])
def test_each_file_of_a_way_names_the_next(title: str) -> None:
    files = way(title)
    assert len(files) == 5
    for name, following in pairwise([*files, ""]):
        opening = (ROOT / name).read_text()[:1_000]
        assert "In: " in opening
        assert "Out: " in opening
        named = following.removeprefix("django_async_fast/")
        assert f"Next: {f'`{named}`' if named else 'the caller'}" in opening


def late_imports(tree: ast.Module) -> Iterator[ast.AST]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield node


def test_the_imports_inside_of_functions_are_listed() -> None:
    listed = set(FILE.findall(section("Imports inside of functions")))
    found = {
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*.py")
        if any(late_imports(ast.parse(path.read_text())))
    }
    assert found == listed

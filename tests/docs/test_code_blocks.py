"""Every code block of the documentation is run, or what it names is looked up.

A page's blocks share their names, as for somebody who reads on. What is defined is called
where its arguments are known (`project.arguments()`); of all other code the names are.
"""

import ast
import asyncio
import builtins
import dis
import doctest
import inspect
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from django.core.management import get_commands

from django_async_fast import conf, new_connection
from tests.docs import pages, project
from tests.support.forget_types import forget_types

AWAITS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
with_python = [page for page in pages.PAGES if [*pages.blocks(page, "python")]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    forget_types()
    monkeypatch.chdir(tmp_path)  # some write files
    with project.project(monkeypatch) as names:
        yield names | {"__name__": "page"}


@pytest.mark.parametrize("page", with_python, ids=pages.name)
def test_python_runs(page: Path, names: dict[str, Any]) -> None:
    for block in pages.blocks(page, "python"):
        if block.text.startswith(">>> "):
            check_session(block, names)
        else:
            check_code(block, names)


def check_session(block: pages.Block, names: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(
        block.text, names, block.page.name, str(block.page), block.line
    )
    failure: list[str] = []
    doctest.DocTestRunner().run(test, out=failure.append, clear_globs=False)
    assert not failure, "".join(failure)


def check_code(block: pages.Block, names: dict[str, Any]) -> None:
    before = set(names)
    code = compile(block.in_place, block.page, "exec", flags=AWAITS)

    @new_connection()
    async def run() -> None:
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result

    asyncio.run(run())
    where = f"{block.page.name}, the block at line {block.line}"
    unknown = loaded(code) - names.keys() - vars(builtins).keys()
    assert not unknown, f"{where}: {unknown}"
    settings = names.get("DJANGO_ASYNC_FAST", {}).keys()
    assert settings <= conf.DEFAULTS.keys(), where
    for name in names.keys() - before:
        call(names[name])


def loaded(code: CodeType) -> set[str]:
    """Return the names that code, and what is defined in it, looks up in its module."""
    found = {
        each.argval
        for each in dis.get_instructions(code)
        if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return found.union(*map(loaded, inner)) - CLASS_NAMES - stored(code)


CLASS_NAMES = {"__name__", "__qualname__", "__module__"}


def stored(code: CodeType) -> set[str]:
    return {
        each.argval for each in dis.get_instructions(code) if "STORE_" in each.opname
    }


def call(function: Any) -> None:
    """Call a function of a page's in a block, if its arguments are known."""
    if not inspect.isfunction(function) or function.__module__ != "page":
        return
    known = project.arguments()
    parameters = inspect.signature(function).parameters
    if not known.keys() >= parameters.keys():
        return

    @new_connection()
    async def run() -> None:
        result = function(**{name: known[name] for name in parameters})
        if inspect.isawaitable(result):
            result = await result
        if getattr(result, "streaming", False):
            assert [part async for part in result]

    asyncio.run(run())


LANGUAGES = {"python", "console", "text"}


# --- commands ---------------------------------------------------------------------------

TARGETS = set(
    re.findall(r"^([\w-]+):", (pages.ROOT / "Makefile").read_text(), re.MULTILINE)
)
COMMANDS = {
    r"make ([\w-]+)": lambda target: target in TARGETS,
    r"python -m ([\w.]+)": lambda module: find_spec(module) is not None,
    r"manage\.py (\w+)": lambda command: command in get_commands(),
}


def commands() -> Iterator[tuple[str, str]]:
    for page in pages.PAGES:
        for block in pages.blocks(page, "console"):
            for line in block.text.splitlines():
                if line.startswith("$ "):
                    yield page.stem, line.removeprefix("$ ")


@pytest.mark.parametrize(("page", "command"), sorted(set(commands())))
def test_a_command_exists(page: str, command: str) -> None:
    for pattern, exists in COMMANDS.items():
        for name in re.findall(pattern, command):
            assert exists(name), f"{page}: {command}"


def test_every_block_says_what_it_is() -> None:
    for page in pages.PAGES:
        fences = re.findall(r"^ *```(.*)$", page.read_text(), re.MULTILINE)
        assert len(fences) % 2 == 0, page.name
        # What is in braces is Sphinx's.
        assert {each for each in fences[::2] if not each.startswith("{")} <= LANGUAGES

"""What each tool sees beside the package is what it sees in stock Django."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest

from tests.beside import tools
from tests.beside.child import tool
from tests.beside.conftest import Watch
from tests.beside.tool import Tool
from tests.beside.ways import OURS, WAYS


def arrangements() -> list[tuple[str, str]]:
    """Return every tool's name with each of its moments."""
    return [
        (f"{module.name}:{name}", moment)
        for module in iter_modules(tools.__path__)
        for name, cls in vars(import_module(f"{tools.__name__}.{module.name}")).items()
        if isinstance(cls, type) and cls.__module__.endswith(f".{module.name}")
        if issubclass(cls, Tool)
        for moment in cls.moments
    ]


@pytest.mark.parametrize("way", OURS)
@pytest.mark.parametrize(("name", "moment"), arrangements())
def test_a_tool_sees_what_it_sees_in_stock(
    installed_tool: str,
    moment: str,
    way: str,
    watch: Watch,
    request: pytest.FixtureRequest,
) -> None:
    if WAYS[way].asynchronous and (why := tool(installed_tool).blind):
        request.applymarker(pytest.mark.xfail(reason=why, raises=AssertionError))
    stock = watch(installed_tool, moment, OURS[way].like)
    ours = watch(installed_tool, moment, way)
    assert ours["results"] == stock["results"]
    assert ours["seen"] == stock["seen"]
    assert stock["seen"]

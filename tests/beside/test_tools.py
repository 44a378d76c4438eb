"""What each tool sees beside the package is what it sees in stock Django."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest

from tests.beside import tools
from tests.beside.conftest import Watch
from tests.beside.tool import Tool
from tests.beside.ways import OURS, OURS_IN_REQUESTS, WAYS


def arrangements() -> list[Any]:
    """Return every tool's name with each of its moments and ways."""
    return [
        (f"{module.name}:{name}", moment, way)
        for module in iter_modules(tools.__path__)
        for name, cls in vars(import_module(f"{tools.__name__}.{module.name}")).items()
        if isinstance(cls, type) and cls.__module__.endswith(f".{module.name}")
        if issubclass(cls, Tool)
        for moment in cls.moments
        for way in (OURS_IN_REQUESTS if cls.in_a_request else OURS)
    ]


@pytest.mark.parametrize(("name", "moment", "way"), arrangements())
def test_a_tool_sees_what_it_sees_in_stock(
    installed_tool: str, moment: str, way: str, watch: Watch
) -> None:
    stock = watch(installed_tool, moment, WAYS[way].like)
    ours = watch(installed_tool, moment, way)
    assert ours["results"] == stock["results"]
    assert ours["seen"] == stock["seen"]
    assert stock["seen"]

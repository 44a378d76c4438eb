"""SQLite on the loop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.support.other_databases import ON_THE_LOOP, other_database

FILES = tuple(kind for kind in ON_THE_LOOP if kind != "test database")


@pytest.fixture(params=ON_THE_LOOP)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An alias with tables, in a file or shared in memory."""
    with other_database(request.param, tmp_path) as alias:
        yield alias


@pytest.fixture(params=FILES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An alias with tables, in a file."""
    with other_database(request.param, tmp_path) as alias:
        yield alias


@pytest.fixture
def options(file: str) -> Iterator[dict[str, Any]]:
    """The OPTIONS of `file`, to be changed."""
    yield connections.settings[file]["OPTIONS"]

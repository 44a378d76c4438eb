"""The table of Wide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module", autouse=True)
def _table(_databases: Any) -> Iterator[None]:
    # Django is not set up yet when this module is imported.
    from .ways import table_of
    from .wide import Wide

    with table_of(Wide):
        yield


@pytest.fixture(autouse=True)
def _emptied(_table: None) -> Iterator[None]:
    from .wide import Wide

    yield
    Wide._base_manager.all().delete()

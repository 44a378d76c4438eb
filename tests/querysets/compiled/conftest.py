"""What tests of compiled querysets share."""

from typing import Any

import pytest


@pytest.fixture
def books() -> Any:
    """Thirty books that nothing is known of; the authors."""
    from .reading_books import fill  # Django is not set up when this is imported

    return fill()


@pytest.fixture
def written() -> None:
    """A row of each kind that the writes of writing.py name."""
    from .writing import fill

    fill()

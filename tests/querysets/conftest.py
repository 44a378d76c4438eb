"""What tests of querysets share."""

import pytest


@pytest.fixture(scope="module")
def fifty_books(_databases: object, _clean_tables_of_module: object) -> None:
    from .fifty_books import fill  # Django is not set up when this is imported

    fill()

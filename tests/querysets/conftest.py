"""What tests of querysets share."""

import pytest


@pytest.fixture(scope="module")
def fifty_books(_databases: object, _clean_tables_of_module: object) -> None:
    from .fifty_books import fill  # Django is not set up when this is imported

    fill()


@pytest.fixture(autouse=True)
def _looked_at() -> None:
    """Have it noticed what tests before have changed in classes."""
    from django_async_fast import _native  # Django is not set up when this is imported
    from django_async_fast.querysets import changes

    if _native.COMPILED:
        changes.hold()

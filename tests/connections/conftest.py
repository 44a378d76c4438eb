"""What tests of connections share."""

from typing import Any

import pytest


@pytest.fixture
def tag() -> Any:
    """A tag that is there for the test, by its key 1."""
    from tests.testapp.models import Tag  # Django is not set up when this is imported

    found = Tag.objects.create(pk=1, name="one")
    yield found
    found.delete()

"""What tests of parity share."""

from collections.abc import Iterator

import pytest


@pytest.fixture
def _tag() -> Iterator[None]:
    """A tag that is there, and every step taken once."""
    from .hooking import STEPS, Tag  # Django is not set up when this is imported

    Tag.objects.create(name="a")
    for step, _ in STEPS.values():
        step()  # what is remembered is not to be taken now
    yield

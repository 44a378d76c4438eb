"""What is called of something, with what: it does as before."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any
from unittest import mock


@contextmanager
def noted(owner: Any, name: str) -> Iterator[list[tuple[Any, ...]]]:
    """Collect the positional arguments of each call of a function or method."""
    before, called = getattr(owner, name), []

    @wraps(before)
    def noting(*args: Any, **kwargs: Any) -> Any:
        called.append(args)
        return before(*args, **kwargs)

    with mock.patch.object(owner, name, noting):
        yield called

"""A receiver of `connection_created`, for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db.backends.signals import connection_created


@contextmanager
def receiving(receiver: Callable[..., None]) -> Iterator[None]:
    connection_created.connect(receiver)
    try:
        yield
    finally:
        connection_created.disconnect(receiver)

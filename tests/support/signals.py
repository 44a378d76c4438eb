"""A receiver of a signal, for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.signals import connection_created
from django.dispatch import Signal


@contextmanager
def receiving(
    receiver: Callable[..., Any], signal: Signal = connection_created, **sender: Any
) -> Iterator[None]:
    signal.connect(receiver, **sender)
    try:
        yield
    finally:
        signal.disconnect(receiver, **sender)

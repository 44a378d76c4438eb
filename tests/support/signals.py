"""A receiver of signals, for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.signals import connection_created
from django.dispatch import Signal


@contextmanager
def receiving(
    receiver: Callable[..., Any], *signals: Signal, sender: Any = None
) -> Iterator[None]:
    """Have `signals` received: `connection_created` if none is named."""
    signals = signals or (connection_created,)
    for signal in signals:
        signal.connect(receiver, sender)
    try:
        yield
    finally:
        for signal in signals:
            signal.disconnect(receiver, sender)

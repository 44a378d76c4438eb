"""Whether a request's signal has Django's own receivers and no others.

Some of them close, and reset what is kept of, the connections that there are. In a
block without any they find nothing to do, and are not called.
"""

import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any
from weakref import ref

from django.core import cache, signals
from django.dispatch import Signal

from .. import bridge
from ..connections.blocks import entered_block
from ..unpatched import Unpatched, is_own

Receiver = Callable[..., Any]

_signals = Unpatched((Signal, Signal, ("send", "_live_receivers")))
_caches = Unpatched((cache.CacheHandler, cache.CacheHandler))


def has_caches() -> bool:
    """Tell whether the context may have made caches, which its request closes."""
    handler: Any = cache.caches
    own = getattr(handler, "__dict__", {})
    # Django looks up the name of each, below a lock.
    storage = getattr(own.get("_connections"), "_storage", None)
    made = getattr(storage, "_data", None)
    return (
        type(handler) is not cache.CacheHandler
        or not _caches.holds()
        or "close_all" in own
        or "all" in own
        or "settings" not in own  # which may be wrong
        or type(made) is not ContextVar
        or made.get(None) is not None
    )


# Django's receivers: module and name.
OF_CONNECTIONS = (
    ("django.db", "reset_queries"),
    ("django.db", "close_old_connections"),
)
# With what tells whether they are called in a block without connections.
OF_A_REQUEST: dict[tuple[str, str], Callable[[], bool]] = {
    ("django.core.cache", "close_caches"): has_caches,
    ("django.core.handlers.base", "reset_urlconf"): partial(bool, True),
}


class OnlyReceivers:
    """Tells whether `signal` has no receivers but Django's own.

    Asked after each change of its receivers.
    """

    __slots__ = ("_answer", "_found", "_known", "_named", "_signal", "receivers")

    def __init__(self, signal: Signal, *known: tuple[str, str]) -> None:
        self._signal = signal
        self._known = known
        # Its own, where a tool may have put a `send`.
        self._named = vars(signal)
        # What the answer was given for.
        self._found: list[Any] = []
        self._answer = True
        # Each with what tells whether it is called in a block without connections.
        self.receivers: list[tuple[Any, Callable[[], bool]]] = []

    def hold(self) -> bool:
        """Tell whether the signal need not be sent in a block without connections.

        What is called there all the same is in `receivers`.
        """
        if self._signal.receivers != self._found:
            self._found = [*self._signal.receivers]
            self._answer = self._look(self._found)
        if not self._answer or not _signals.holds():
            return False
        return self._named.get("send", send_finished) is send_finished

    def _look(self, found: list[Any]) -> bool:
        self.receivers = []
        for (_, sender), receiver, *_ in found:
            function: Any = receiver() if isinstance(receiver, ref) else receiver
            if function is None:
                continue  # it is called no more
            name = (
                getattr(function, "__module__", ""),
                getattr(function, "__name__", ""),
            )
            if (
                sender != id(None)
                or name not in self._known
                or getattr(sys.modules[name[0]], name[1], None) is not function
                or not is_own(sys.modules[name[0]], name[1])
            ):
                return False
            self.receivers.append((function, OF_A_REQUEST.get(name, bool)))
        return True


finished = OnlyReceivers(signals.request_finished, *OF_CONNECTIONS, *OF_A_REQUEST)


def send_finished(sender: Any, **named: Any) -> list[tuple[Receiver, Any]]:
    """`request_finished.send()`, without what closes connections where none are."""
    signal = signals.request_finished
    block = entered_block.get()
    if (
        block is None
        or block.wrappers
        or not block.open
        or not bridge.serves(block.loop)
        or not finished.hold()
    ):
        return Signal.send(signal, sender, **named)
    return [
        (each, each(signal=signal, sender=sender, **named) if is_called() else None)
        for each, is_called in finished.receivers
    ]

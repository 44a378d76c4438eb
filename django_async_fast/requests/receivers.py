"""Whether a request's signal has Django's own receivers and no others.

They close, and reset what is kept of, the connections that there are. In a block
without any they find nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import django.db
from django.dispatch import Signal

from ..unpatched import Unpatched, is_own

_signals = Unpatched((Signal, Signal, ("send", "_live_receivers")))


class OnlyReceivers:
    """Tells whether `signal` has no receivers but these of `django.db`.

    Asked after each change of its receivers.
    """

    __slots__ = ("_answer", "_found", "_known", "_signal")

    def __init__(self, signal: Signal, *names: str) -> None:
        self._signal = signal
        self._known = names
        # What the answer was given for.
        self._found: list[Any] = []
        self._answer = True

    def hold(self) -> bool:
        """Tell whether the signal need not be sent in a block without connections."""
        found = self._signal.receivers
        if found != self._found:
            self._answer = all(self._is_known(each[1]) for each in found)
            self._found = [*found]
        return self._answer and "send" not in vars(self._signal) and _signals.holds()

    def _is_known(self, receiver: Any) -> bool:
        function: Callable[..., Any] | None
        function = receiver() if isinstance(receiver, ref) else receiver
        if function is None:
            return True  # it is called no more
        own = (getattr(django.db, name, None) for name in self._known)
        return any(function is each for each in own) and is_own(function)

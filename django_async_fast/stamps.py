"""What an object has when its class has just made it.

Every block has a wrapper and a psycopg connection of its own, and their `__init__`
cost more than the statement between them. The attributes that the first one has are
kept; later ones get them copied.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from operator import itemgetter
from sys import getrefcount
from threading import Lock
from types import FunctionType
from typing import Any

# Nobody can change these in place. Anything else that is not empty is an object of
# its owner's, and is to be made for it.
_CONSTANT = (type(None), bool, int, float, str, bytes, type, FunctionType)
_CONTAINERS = frozenset({list, dict, set, deque, OrderedDict})

# What `getrefcount()` tells of an object that one container holds.
_box = [object()]
ALONE = getrefcount(_box[0])


class Stamp:
    """The attributes of new objects of one class, but for those `given` to each."""

    __slots__ = ("_constants", "_containers", "_given", "tried")

    def __init__(self, *given: str) -> None:
        self._given = frozenset(given)
        self._constants: dict[str, Any] | None = None
        self._containers: list[tuple[str, Callable[[], Any]]] = []
        # Whether `take()` has seen one. It may have had what cannot be copied.
        self.tried = False

    def take(self, values: dict[str, Any]) -> None:
        """Keep the attributes of an object that has just been made."""
        self.tried = True
        constants: dict[str, Any] = {}
        containers: list[tuple[str, Callable[[], Any]]] = []
        for name in values.keys() - self._given:
            value = values[name]
            if isinstance(value, _CONSTANT):
                constants[name] = value
            elif type(value) is type(Lock()):
                containers.append((name, Lock))
            elif type(value) in _CONTAINERS and not value:
                containers.append((name, value.copy().copy))
            else:
                return
        self._containers = containers
        # Last: another thread takes it for the sign that both are there. With room for
        # every name: to make room costs more than to copy it.
        self._constants = dict.fromkeys(values) | constants

    def fresh(self) -> dict[str, Any] | None:
        """Return the attributes of another one, or None where it has to be made."""
        if self._constants is None:
            return None
        values = self._constants.copy()
        for name, copy in self._containers:
            values[name] = copy()
        return values


class Look:
    """How objects of a class look that nobody has changed, but for what is `own`."""

    __slots__ = ("_alone", "_containers", "_length", "_of", "_values")

    def __init__(self, values: dict[str, Any], *own: str) -> None:
        common = [name for name in values if name not in own]
        self._length = len(values.keys() | set(own))
        self._of = itemgetter(*common)
        self._values = tuple(_kept(values[name]) for name in common)
        containers = [n for n in common if type(values[n]) in _CONTAINERS]
        # With two more names it is a tuple that it returns, whatever there is.
        self._containers = itemgetter(*containers, common[0], common[0])
        self._alone = self._references({n: _kept(values[n]) for n in common})

    def is_of(self, values: dict[str, Any]) -> bool:
        """Tell whether these are such an object's, and its containers nobody else's."""
        if len(values) != self._length:
            return False
        try:
            if self._of(values) != self._values:
                return False
        except KeyError:
            return False
        return self._references(values) == self._alone

    def _references(self, values: dict[str, Any]) -> int:
        return sum(map(getrefcount, self._containers(values)[:-2]))


def _kept(value: Any) -> Any:
    # What its owner puts in it later is a change.
    return value.copy() if type(value) in _CONTAINERS else value

"""Attributes that `__init__` sets on every instance, copied instead of computed again.

Every block has a wrapper and a psycopg connection of its own, and their `__init__`
cost more than the statement between them. The attributes that the first one has are
kept; later ones get them copied.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from threading import Lock
from types import FunctionType
from typing import Any

# Nobody can change these in place. Anything else that is not empty is an object of
# its owner's, and is to be made for it.
_CONSTANT = (type(None), bool, int, float, str, bytes, type, FunctionType)
_CONTAINERS = frozenset({list, dict, set, deque, OrderedDict})


class AttributeCopies:
    """The attributes of new objects of one class, but for those `given` to each."""

    __slots__ = ("_constants", "_containers", "_given", "recorded")

    def __init__(self, *given: str) -> None:
        self._given = frozenset(given)
        self._constants: dict[str, Any] | None = None
        self._containers: list[tuple[str, Callable[[], Any]]] = []
        # Whether `record()` has seen one. It may have had what cannot be copied.
        self.recorded = False

    def record(self, values: dict[str, Any]) -> None:
        """Keep the attributes of an object that has just been made."""
        self.recorded = True
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

    def set_on(self, owner: type[Any]) -> bool:
        """Give the constants to the class; False where each object has to be made.

        `copy_containers()` then gives an object what it lacks.
        """
        for name, value in (self._constants or {}).items():
            if name not in self._given:
                # A function would be taken for a method.
                own = staticmethod(value) if isinstance(value, FunctionType) else value
                setattr(owner, name, own)
        return self._constants is not None

    def copy_containers(self, made: Any) -> None:
        """Give an object of the class the containers of its own."""
        for name, copy in self._containers:
            setattr(made, name, copy())

    def copy(self) -> dict[str, Any] | None:
        """Return the attributes of another one, or None where it has to be made."""
        if self._constants is None:
            return None
        values = self._constants.copy()
        for name, copy in self._containers:
            values[name] = copy()
        return values

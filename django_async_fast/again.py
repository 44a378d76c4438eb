"""A block's first connection, taken from the pool as Django took one before.

Its `connect()` reads settings, makes parameters that a pool does not ask for, and sets
in the wrapper what it set the last time; nothing of that reaches the database. Once
it has done so for some settings, what it has set is set again.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils.functional import cached_property

from .stamps import Look

# What is not called here. A backend or a tool that has its own is left to it.
_STEPS = (
    *("connect", "ensure_connection", "get_connection_params", "get_new_connection"),
    *("set_autocommit", "get_autocommit", "init_connection_state"),
)
_steps = attrgetter(*_STEPS)
_DJANGOS = _steps(DatabaseWrapper)


# What connected wrappers do not have in common.
_OF_EACH = (
    *("block", "connection", "gate", "pool", "settings_dict"),
    "_thread_sharing_lock",
)


class Again:
    """What Django's `connect()` has set in a wrapper, and for which settings."""

    __slots__ = ("_set", "_settings", "_steps", "look", "pool")

    def __init__(self, wrapper: Any, before: dict[str, Any]) -> None:
        self._settings = _copied(wrapper.settings_dict)
        self._steps = _steps(type(wrapper))
        values = {
            name: value
            for name, value in vars(wrapper).items()
            if not isinstance(getattr(type(wrapper), name, None), cached_property)
        }
        # How a connected wrapper looks.
        self.look = Look(values, *_OF_EACH)
        del values["connection"]
        self._set = {
            name: value
            for name, value in values.items()
            if before.get(name, self) != value
        }
        # Returns the open pool of a loop and an alias.
        self.pool = wrapper.pool.existing

    def agrees(self, wrapper: Any) -> bool:
        """Tell whether the next of this class would be connected as before."""
        return (
            wrapper.settings_dict == self._settings
            and _steps(type(wrapper)) == self._steps
            and _steps(wrapper.backend) == _DJANGOS
        )

    def fits(self, wrapper: Any) -> bool:
        """Tell whether `wrapper` would be connected as the one before was."""
        return is_plain(wrapper) and self.agrees(wrapper)

    def connect(self, wrapper: Any) -> None:
        """Do what Django's `connect()` would."""
        wrapper.check_settings()
        wrapper.pool.open()
        wrapper.connection = wrapper.pool.getconn()
        wrapper._set_autocommit(True)
        vars(wrapper).update(self._set)
        connection_created.send(sender=type(wrapper), connection=wrapper)


def is_plain(wrapper: Any) -> bool:
    """Tell whether this is a first connection, and Django's own code would make it."""
    settings = wrapper.settings_dict
    return (
        wrapper.close_at is None
        and not wrapper.in_atomic_block
        and _steps(wrapper.backend) == _DJANGOS
        and vars(wrapper).keys().isdisjoint(_STEPS)
        and bool(wrapper.pool)
        and settings["AUTOCOMMIT"]
        and "isolation_level" not in settings["OPTIONS"]
    )


def _copied(settings: dict[str, Any]) -> dict[str, Any]:
    # Whoever changes a setting may do so in place.
    return {
        name: value.copy() if isinstance(value, dict) else value
        for name, value in settings.items()
    }

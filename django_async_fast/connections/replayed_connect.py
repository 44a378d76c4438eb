"""A block's first connection, taken from the pool as Django took one before.

Its `connect()` reads settings, makes parameters that a pool does not ask for, and sets
in the wrapper what it set the last time; nothing of that reaches the database. Once
it has done so for some settings, what it has set is set again.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings as django_settings
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils.functional import cached_property

from ..attribute_copies import Stamp
from ..unpatched import Unpatched

# What is not called here. A backend or a tool that has its own is left to it.
_STEPS = (
    *("connect", "ensure_connection", "get_connection_params", "get_new_connection"),
    *("set_autocommit", "get_autocommit", "init_connection_state"),
    *("check_settings", "__init__"),
)


@cache
def _unpatched(kind: Any) -> Unpatched:
    """Tell whether Django's own steps connect wrappers of a class."""
    return Unpatched((kind, DatabaseWrapper, _STEPS))


# What connected wrappers do not have in common.
OF_EACH = "block", "connection", "gate", "pool", "settings_dict", "_thread_ident"


class Again:
    """What Django's `connect()` has set in a wrapper, and for which settings."""

    __slots__ = ("_limit", "_set", "_settings", "_unpatched", "pool", "values")

    def __init__(self, wrapper: Any, before: dict[str, Any]) -> None:
        self._settings = _copied(wrapper.settings_dict)
        kind: Any = type(wrapper)
        self._unpatched = _unpatched(kind)
        self._limit = wrapper.queries_limit
        self._set = {
            name: value
            for name, value in vars(wrapper).items()
            if before.get(name, self) != value
            and name != "connection"
            and not isinstance(getattr(type(wrapper), name, None), cached_property)
        }
        # Returns the attributes of another one, but for OF_EACH, or None.
        self.values = _stamp(wrapper, self._set).fresh
        # Returns the open pool of a loop and an alias.
        self.pool = wrapper.pool.existing

    def agrees(self, kind: Any, settings: dict[str, Any]) -> bool:
        """Tell whether one of this class and settings is connected as before."""
        return (
            settings == self._settings
            and (settings["TIME_ZONE"] is None or django_settings.USE_TZ)
            and self._unpatched.holds()
            and kind.queries_limit == self._limit
        )

    def fits(self, wrapper: Any) -> bool:
        """Tell whether `wrapper` would be connected as the one before was."""
        return _is_first(wrapper) and self.agrees(type(wrapper), wrapper.settings_dict)

    def connect(self, wrapper: Any) -> None:
        """Do what Django's `connect()` would."""
        wrapper.pool.open()
        wrapper.connection = wrapper.pool.getconn()
        wrapper._set_autocommit(True)
        vars(wrapper).update(self._set)
        connection_created.send(sender=type(wrapper), connection=wrapper)


def is_plain(wrapper: Any) -> bool:
    """Tell whether this is a first connection, and Django's own code would make it."""
    settings = wrapper.settings_dict
    kind: Any = type(wrapper)
    return (
        _is_first(wrapper)
        and _unpatched(kind).holds()
        and bool(wrapper.pool)
        and settings["AUTOCOMMIT"]
        and "isolation_level" not in settings["OPTIONS"]
    )


def _is_first(wrapper: Any) -> bool:
    # After an attempt that failed, Django's code has more to set.
    return (
        wrapper.close_at is None
        and not wrapper.errors_occurred
        and not wrapper.in_atomic_block
        and vars(wrapper).keys().isdisjoint(_STEPS)
    )


def _stamp(wrapper: Any, changed: dict[str, Any]) -> Stamp:
    stamp = Stamp(*OF_EACH)
    # Not of the wrapper itself: it may have been given marks before it connects.
    fresh = wrapper.stamp.fresh()
    if fresh is not None:
        own = dict.fromkeys(OF_EACH)
        stamp.take({**fresh, **own, "alias": wrapper.alias, **changed})
    return stamp


def _copied(settings: dict[str, Any]) -> dict[str, Any]:
    # Whoever changes a setting may do so in place.
    return {
        name: value.copy() if isinstance(value, dict) else value
        for name, value in settings.items()
    }

"""A block's first connection, taken from the pool as Django took one before.

Its `connect()` reads settings, makes parameters that a pool does not ask for, and sets
in the wrapper what it set the last time; nothing of that reaches the database. Once
it has done so for some settings, what it has set is set again.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings as django_settings
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.signals import connection_created
from django.utils.functional import cached_property

from .. import _native
from ..attribute_copies import AttributeCopies
from ..unpatched import unpatched_class

# What is not called here. A backend or a tool that has its own is left to it.
_STEPS = (
    *("connect", "ensure_connection", "get_connection_params", "get_new_connection"),
    *("set_autocommit", "get_autocommit", "init_connection_state"),
    *("check_settings", "__init__"),
)


# What each connected wrapper has of its own.
NOT_COPIED = "block", "connection", "gate", "pool", "settings_dict", "_thread_ident"


class ReplayedConnect:
    """What Django's `connect()` has set in a wrapper, to be set in others like it."""

    __slots__ = (
        *("_changed", "_kind", "_queries_limit", "_settings", "_unpatched"),
        *("attributes", "last_pool", "pool", "settings", "watch"),
    )

    def __init__(self, wrapper: Any, before: dict[str, Any]) -> None:
        self.settings: dict[str, Any] = wrapper.settings_dict
        self._settings = _copied(self.settings)
        self._kind: Any = type(wrapper)
        self._unpatched = unpatched_class(self._kind, DatabaseWrapper, _STEPS)
        self._queries_limit = wrapper.queries_limit
        # Of the core: whether it is for `settings`, without a call.
        self.watch: Any = None
        watches = _native.COMPILED and isinstance(self.settings, dict)
        if watches and self.settings["TIME_ZONE"] is None:
            names = *_STEPS, "queries_limit"
            self.watch = _native.rows.ClassWatch(
                self._kind, asked=self._ask, names=(names,)
            )
        self._changed = {
            name: value
            for name, value in vars(wrapper).items()
            if before.get(name, self) != value
            and name != "connection"
            and not isinstance(getattr(type(wrapper), name, None), cached_property)
        }
        # Returns the attributes of another wrapper, but for NOT_COPIED, or None.
        self.attributes = _attribute_copies(wrapper, self._changed).copy
        # Returns the open pool of a loop and an alias; the last that it has returned.
        self.pool = wrapper.pool.existing
        self.last_pool: Callable[[], Any] = lambda: None

    def is_for(self, settings: dict[str, Any]) -> bool:
        """Tell whether this class with these settings connects like that wrapper."""
        return (
            settings == self._settings
            and (settings["TIME_ZONE"] is None or django_settings.USE_TZ)
            and self._unpatched.holds()
            and self._kind.queries_limit == self._queries_limit
        )

    def _ask(self) -> bool:
        dicts = [each for each in self.settings.values() if isinstance(each, dict)]
        self.watch.look(self.settings, *dicts)
        return self.is_for(self.settings)

    def can_connect(self, wrapper: Any) -> bool:
        """Tell whether `wrapper` would be connected like that one."""
        return _is_first(wrapper) and self.is_for(wrapper.settings_dict)

    def connect(self, wrapper: Any) -> None:
        """Do what Django's `connect()` would."""
        wrapper.pool.open()
        wrapper.connection = wrapper.pool.getconn()
        wrapper._set_autocommit(True)
        vars(wrapper).update(self._changed)
        connection_created.send(sender=type(wrapper), connection=wrapper)


def is_plain(wrapper: Any) -> bool:
    """Tell whether this is a first connection, and Django's own code would make it."""
    settings = wrapper.settings_dict
    return (
        _is_first(wrapper)
        and unpatched_class(type(wrapper), DatabaseWrapper, _STEPS).holds()
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


def _attribute_copies(wrapper: Any, changed: dict[str, Any]) -> AttributeCopies:
    copies = AttributeCopies(*NOT_COPIED)
    # Not of the wrapper itself: it may have been given marks before it connects.
    fresh = wrapper.init_attributes.copy()
    if fresh is not None:
        own = dict.fromkeys(NOT_COPIED)
        copies.record({**fresh, **own, "alias": wrapper.alias, **changed})
    return copies


def _copied(settings: dict[str, Any]) -> dict[str, Any]:
    # Whoever changes a setting may do so in place.
    return {
        name: value.copy() if isinstance(value, dict) else value
        for name, value in settings.items()
    }

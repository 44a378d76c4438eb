"""A database router that reads on replicas, and what it has written on the primary.

A replica is behind its primary. So a block, or a request, that has used the primary
stays there, whatever it used it for: a save, a statement of its own, a transaction.
Each begins on the replicas.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from django.core.signals import request_started
from django.db import DEFAULT_DB_ALIAS, connections

from .. import conf
from . import block_threads, lazy_wrapper
from .routing import routed_block


class ReplicaRouter:
    """For DATABASE_ROUTERS: reads go to one of `replicas`, or to the `primary`.

    `replicas` are those of the setting REPLICAS, unless a subclass says others.
    """

    primary = DEFAULT_DB_ALIAS
    replicas: Sequence[str] | None = None

    def __init__(self) -> None:
        _primaries.add(self.primary)

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Return the primary's alias if that has been used, else a replica's."""
        replicas = self._replicas()
        if not replicas or not self._is_ours(hints):
            return None
        return self._stays_at(replicas) or self.primary

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        """Return the primary's alias."""
        return self.primary if self._is_ours(hints) else None

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool | None:
        """Allow relations between what different replicas have read."""
        ours = {self.primary, *self._replicas()}
        return True if {first._state.db, second._state.db} <= ours else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Leave replicas alone: they get their tables from the primary."""
        return False if db in self._replicas() else None

    def _replicas(self) -> Sequence[str]:
        found: Sequence[str]
        found = conf.get("REPLICAS") if self.replicas is None else self.replicas
        return found

    def _is_ours(self, hints: dict[str, Any]) -> bool:
        """Tell whether a related object, if there is one, is of our databases."""
        state = getattr(hints.get("instance"), "_state", None)
        alias = getattr(state, "db", None)
        return alias is None or alias == self.primary or alias in self._replicas()

    def _stays_at(self, replicas: Sequence[str]) -> str | None:
        """Return the replica to read on, None if the primary has been used."""
        block = routed_block() or block_threads.block_of_thread()
        if block is None:
            use = _Use.of(connections[self.primary])
            if use.primary_was_used():
                return None
            if use.replica not in replicas:
                use.replica = random.choice(replicas)  # noqa: S311
            return use.replica
        wrapper = block.wrappers.get(self.primary)
        if wrapper is not None and lazy_wrapper.was_connected(wrapper):
            return None
        # One connection to a replica, and no going back in time from one to another.
        for alias in replicas:
            if alias in block.wrappers:
                return alias
        return random.choice(replicas)  # noqa: S311


class _Use:
    """Whether one of Django's own connections has been used since a request began.

    Until then its `cursor` is ours: an attribute that statements without one, too, see.
    """

    def __init__(self, wrapper: Any) -> None:
        self._wrapper = wrapper
        self._used = wrapper.connection is not None
        self.replica: str | None = None
        if not self._used:
            self.begin()

    @classmethod
    def of(cls, wrapper: Any) -> _Use:
        """Return what is known of a connection."""
        found: _Use | None = wrapper.__dict__.get(_USE)
        if found is None:
            # Connected, it was used before anybody asked.
            wrapper.__dict__[_USE] = found = cls(wrapper)
        return found

    def begin(self) -> None:
        """Count from here on."""
        self._used = False
        self.replica = None
        self._wrapper.__dict__.setdefault("cursor", self._cursor)

    def primary_was_used(self) -> bool:
        """Tell whether reads have to stay."""
        return (
            self._used
            or self._wrapper.in_atomic_block
            or (self._wrapper.connection is not None and not self._wrapper.autocommit)
        )

    def _cursor(self, *args: Any, **kwargs: Any) -> Any:
        self._used = True
        own = self._wrapper.__dict__
        if own.get("cursor") == self._cursor:
            del own["cursor"]
        return type(self._wrapper).cursor(self._wrapper, *args, **kwargs)


_USE = "_daf_use"
# Of the routers that there are.
_primaries: set[str] = set()


def begin_on_replicas(**kwargs: Any) -> None:
    """Read on replicas again, in this thread: what comes is another piece of work.

    Each request begins so. Workers that have neither requests nor blocks call it before
    each task.
    """
    if _primaries and block_threads.block_of_thread() is None and not routed_block():
        for wrapper in connections.all(initialized_only=True):
            if wrapper.alias in _primaries:
                _Use.of(wrapper).begin()


request_started.connect(begin_on_replicas)

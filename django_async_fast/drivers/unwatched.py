"""Whether a query whose rows are wanted whole may be run without Django's cursors.

They cost as much as a query by key does. Where nobody looks at them, those of their
steps that have an effect are done here; where somebody might, there is a cursor.
"""

from _thread import get_ident
from asyncio import _get_running_loop
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.backends import utils
from django.db.backends.utils import CursorWrapper
from django.utils.asyncio import async_unsafe

from ..unpatched import Unpatched

# What is not called. Who watches queries, or has a backend of their own, replaces one
# of these, in the class or in the connection.
NOT_CALLED = (
    *("cursor", "_cursor", "create_cursor", "make_cursor", "_prepare_cursor"),
    *("close_if_health_check_failed", "validate_thread_sharing", "queries_logged"),
    *("ensure_connection", "validate_no_broken_transaction"),
)
_NAMES = frozenset(NOT_CALLED)


@async_unsafe  # type: ignore[untyped-decorator]
def refuse() -> None:
    """Refuse a query in a coroutine, in Django's words, unless it is told not to."""


class Cursors:
    """The cursors of a backend of Django's: those around the driver's, and its own."""

    def __init__(self, djangos: Any, *cursors: Any) -> None:
        """Take the backend's DatabaseWrapper as Django has it, and its cursors."""
        asked = [(each, each) for each in (CursorWrapper, *cursors)]

        @cache
        def unpatched(kind: Any) -> Unpatched:
            return Unpatched((kind, djangos, NOT_CALLED), *asked)

        self._unpatched = unpatched

    def connection(self, wrapper: Any) -> Any:
        """Return the driver's connection, open, if nobody watches; else None."""
        backend: Any = type(wrapper)
        if not self._unpatched(backend).holds() or not _NAMES.isdisjoint(vars(wrapper)):
            return None
        if (
            utils.CursorWrapper is not CursorWrapper
            or wrapper.force_debug_cursor
            or wrapper.execute_wrappers
            or settings.DEBUG
            or not apps.ready
        ):
            return None
        # What Django does with a connection before it makes a cursor.
        if _get_running_loop() is not None:
            refuse()
        if wrapper.health_check_enabled:
            wrapper.close_if_health_check_failed()
        raw = wrapper.connection
        if raw is None or getattr(raw, "closed", False):
            wrapper.ensure_connection()
        if wrapper._thread_ident != get_ident():
            wrapper.validate_thread_sharing()
            if "block" in vars(wrapper):
                return None  # in a thread of the block, which waits for a cursor's
        return wrapper.connection

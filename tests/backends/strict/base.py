"""A stand-in for a third party's backend, whose driver wants one thread for all."""

from __future__ import annotations

from typing import Any

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    vendor = "strict"

    def get_connection_params(self) -> dict[str, Any]:
        # sqlite3 then refuses every call from another thread.
        return {**super().get_connection_params(), "check_same_thread": True}

"""Binary results for Django's cursors, which merge parameters on the client.

psycopg's client-side cursors use the simple protocol and refuse binary. A
statement without parameters can go by the extended protocol just as well.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import CursorMixin
from psycopg import pq
from psycopg.client_cursor import ClientCursorMixin

BINARY = pq.Format.BINARY


def execute_send(self: Any, query: Any, **options: Any) -> None:
    """`BaseCursor._execute_send`, for a cursor whose `format` is binary."""
    binary = self.format == BINARY and isinstance(self, ClientCursorMixin)
    if binary and not self._conn._pipeline:
        self._query = query
        self._pgconn.send_query_params(query.query, None, result_format=BINARY)
    else:
        super(CursorMixin, self)._execute_send(query, **options)

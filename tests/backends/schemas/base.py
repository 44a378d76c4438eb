"""A backend whose wrapper has a schema, set in front of each cursor's statements."""

from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    schema = "public"
    # What the session has, so that it is not set again.
    _set: str | None = None

    def set_schema(self, schema: str) -> None:
        self.schema, self._set = schema, None

    def close(self) -> None:
        self._set = None
        super().close()

    def _cursor(self, name: str | None = None) -> Any:
        cursor = super()._cursor(name)
        if self._set != self.schema:
            with self.connection.cursor() as setting:
                setting.execute(f'SET search_path = "{self.schema}"')
            self._set = self.schema
        return cursor

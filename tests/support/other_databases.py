"""A second database that is no PostgreSQL: SQLite, on the loop or in threads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connections
from django.test.utils import override_settings

# Its models are there when Django has been set up.
MODELS = (
    *("Author", "Publisher", "Tag", "Book", "Profile", "Novel", "Reading"),
    "Everything",
)

IN_THREADS = "file, threads", "strict file, threads", "test database, threads"
ON_THE_LOOP = "file", "WAL", "immediate", "test database"

WAL = {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"}
OPTIONS: dict[str, dict[str, Any]] = {
    "WAL": {**WAL, "transaction_mode": "IMMEDIATE"},
    "immediate": {"transaction_mode": "IMMEDIATE"},
}


@contextmanager
def other_database(kind: str, folder: Path, alias: str = "log") -> Iterator[str]:
    """Yield an alias that has tables; `kind` is one of those above."""
    engine = "tests.backends.strict" if "strict" in kind else None
    settings = {
        **connections.settings["default"],
        "ENGINE": engine or "django.db.backends.sqlite3",
        "NAME": ":memory:" if "test database" in kind else folder / alias,
        "OPTIONS": {**OPTIONS.get(kind, {})},
        "TEST": {**connections.settings["default"]["TEST"], "NAME": None},
    }
    threaded = [alias] if "threads" in kind else []
    with override_settings(DJANGO_ASYNC_FAST={"THREADED": threaded}):
        connections.settings[alias] = settings
        wrapper = connections[alias]
        try:
            if "test database" in kind:  # in memory, shared by its connections
                settings["NAME"] = wrapper.creation._get_test_db_name()
            with wrapper.schema_editor() as editor:
                for name in MODELS:
                    editor.create_model(apps.get_model("testapp", name))
            if "test database" not in kind:
                wrapper.close()
            yield alias
        finally:
            del connections.settings[alias]
            if wrapper.connection is not None:
                wrapper.connection.close()
            del connections[alias]


def threads() -> list[threading.Thread]:
    """Return the threads that connections have."""
    return [t for t in threading.enumerate() if t.name.startswith("connection to")]


async def names(alias: str) -> list[str]:
    """Return the names of all tags."""
    tags = apps.get_model("testapp", "Tag").objects.using(alias)
    return [tag.name async for tag in tags.order_by("name")]

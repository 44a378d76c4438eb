"""The code of others that the package stands on, and how it looked when we did.

A shortcut is right for the code that it bypasses, not for the next release's. After
reading what changed:  python -m tests.canaries  writes the new prints down.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from importlib.metadata import version
from pathlib import Path
from pydoc import locate
from typing import Any

FILE = Path(__file__).with_name("canaries.json")

# Dotted name -> what of ours stands on it.
WATCHED = {
    "django.db.backends.base.base.BaseDatabaseWrapper.close": "wrapper.py: abort, finish",
    "django.db.backends.base.base.BaseDatabaseWrapper.connect": "wrapper.py: connect",
    "django.db.backends.base.base.BaseDatabaseWrapper.ensure_connection": "wrapper.py",
    "django.db.backends.base.base.BaseDatabaseWrapper.on_commit": "transaction.py",
    "django.db.backends.postgresql.base.CursorMixin": "drivers/cursor.py",
    "django.db.backends.postgresql.base.DatabaseWrapper.get_new_connection": "wrapper.py",
    "django.db.backends.postgresql.base.DatabaseWrapper.init_connection_state": "pool.py",
    "django.db.backends.postgresql.base.DatabaseWrapper._close": "wrapper.py, pool.py",
    "django.db.backends.postgresql.psycopg_any.BaseTzLoader": "drivers/results.py",
    "django.db.backends.postgresql.psycopg_any.get_adapters_template": "drivers/results.py",
    "django.db.models.base.Model.__init__": "plan.py: why_from_db; native/model_plan.pxi",
    "django.db.models.base.Model.from_db": "plan.py: why_from_db; native/model_plan.pxi",
    "django.db.models.base.ModelState": "native/model_plan.pxi, python_slots.h",
    "django.db.models.fields.files.FileDescriptor.__set__": "plan.py: PLAIN_DESCRIPTORS",
    "django.db.models.fields.files.ImageFileDescriptor.__set__": "plan.py",
    "django.db.models.fields.mixins.FieldCacheMixin": "plan.py: _cache_name",
    "django.db.models.fields.related_descriptors.ForeignKeyDeferredAttribute": "plan.py",
    "django.db.models.query.BaseIterable": "iterables.py: iterable_aiter",
    "django.db.models.query.FlatValuesListIterable": "plan.py: flat",
    "django.db.models.query.ModelIterable": "plan.py: models; native/model_plan.pxi",
    "django.db.models.query.NamedValuesListIterable": "plan.py: named",
    "django.db.models.query.QuerySet.__aiter__": "iterables.py: queryset_aiter",
    "django.db.models.query.QuerySet._fetch_all": "iterables.py: queryset_aiter",
    "django.db.models.query.QuerySet.aiterator": "iterables.py: aiterator",
    "django.db.models.query.RelatedPopulator": "plan.py: _relation",
    "django.db.models.query.ValuesIterable": "plan.py: dicts",
    "django.db.models.query.ValuesListIterable": "plan.py: tuples",
    "django.db.models.query_utils.DeferredAttribute": "plan.py: PLAIN_DESCRIPTORS",
    "django.db.models.sql.compiler.SQLCompiler.apply_converters": "native/plans.pxi",
    "django.db.models.sql.compiler.SQLCompiler.execute_sql": "streams.py: Stream",
    "django.db.models.sql.compiler.SQLCompiler.get_related_selections": "plan.py: _relation",
    "django.db.models.sql.compiler.SQLCompiler.results_iter": "streams.py: Stream._plan",
    "django.db.models.sql.compiler.cursor_iter": "streams.py: Stream",
    "django.db.transaction.Atomic": "transaction.py; wrapper.py: abort",
    "django.db.transaction.get_connection": "transaction.py: get_connection",
    "django.db.utils.ConnectionHandler.create_connection": "connections.py",
    "django.dispatch.dispatcher.Signal.send": "dispatch.py: async_to_sync_call",
    "django.utils.connection.BaseConnectionHandler": "connections.py: Routed",
    "psycopg.AsyncConnection.cancel_safe": "drivers/psycopg.py: _cancel_and_drain",
    "psycopg.AsyncConnection.wait": "drivers/psycopg.py: wait",
    "psycopg.Connection.close": "drivers/psycopg.py: close",
    "psycopg.Connection.wait": "drivers/psycopg.py: wait",
    "psycopg._connection_base.BaseConnection.__init__": "drivers/psycopg.py: Connection",
    "psycopg._server_cursor_base.ServerCursorMixin": "drivers/chunks.py",
    "psycopg.client_cursor.ClientCursorMixin": "drivers/cursor.py: execute_send",
    "psycopg.waiting.wait_async": "drivers/channel.py",
    "psycopg_pool.AsyncConnectionPool.getconn": "pool.py",
    "psycopg_pool.AsyncConnectionPool.putconn": "pool.py",
    "asgiref.sync.AsyncToSync.__call__": "dispatch.py: async_to_sync_call",
}


def release(name: str) -> str:
    """Return the package that `name` is of, with the release that may change it."""
    package = name.partition(".")[0].replace("_", "-")
    number = version(package)
    # Django's and asgiref's code may move with a minor release; psycopg's
    # private parts, on which we stand more often, with any.
    parts = 2 if package in ("django", "asgiref") else 3
    return f"{package} {'.'.join(number.split('.')[:parts])}"


def stock(name: str) -> Any:
    """Return what `name` was before the package was installed."""
    from django_async_fast import seams

    owner_name, _, attribute = name.rpartition(".")
    owner = locate(owner_name)
    for patched, patched_name, before in seams._applied:
        if patched is owner and patched_name == attribute:
            return before
    return locate(name)


def print_of(name: str) -> str:
    """Return the fingerprint of the source of `name`: code, not comments."""
    source = inspect.getsource(stock(name))
    lines = (line.strip() for line in source.splitlines())
    code = "\n".join(line for line in lines if line and not line.startswith("#"))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def main() -> None:
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name in WATCHED:
        known.setdefault(release(name), {})[name] = print_of(name)
    FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

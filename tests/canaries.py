"""The code of others that the package stands on, and how it looked when we did.

What a seam replaces or calls, what a shortcut bypasses: right for the code as it was,
not for the next release's. After reading what changed:  python -m tests.canaries
writes the new prints down.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from pydoc import locate
from types import ModuleType
from typing import Any

FILE = Path(__file__).with_name("canaries.json")
ABSENT = "absent"

# Shortcuts: dotted name -> what of ours stands on it. Seams are in the package's list.
WATCHED = {
    "django.core.handlers.base.BaseHandler.make_view_atomic": "requests/request_block.py: make_view_atomic",
    "django.db.backends.base.base.BaseDatabaseWrapper.chunked_cursor": "streams.py: Stream._begin_chunks",
    "django.db.backends.base.base.BaseDatabaseWrapper.__init__": "wrapper.py: stamp",
    "django.db.backends.base.base.BaseDatabaseWrapper.close_if_health_check_failed": "drivers/statement.py: _connected",
    "django.db.backends.base.base.BaseDatabaseWrapper.get_autocommit": "again.py",
    "django.db.backends.base.base.BaseDatabaseWrapper.init_connection_state": "again.py",
    "django.db.backends.base.base.BaseDatabaseWrapper.set_autocommit": "again.py",
    "django.db.backends.base.base.BaseDatabaseWrapper.validate_thread_sharing": "drivers/statement.py: _connected",
    "django.db.backends.base.base.BaseDatabaseWrapper.check_settings": "again.py: agrees",
    "django.db.backends.base.base.BaseDatabaseWrapper.close": "wrapper.py: abort, finish, let_go",
    "django.db.backends.base.base.BaseDatabaseWrapper.connect": "wrapper.py: connect; again.py",
    "django.db.backends.base.base.BaseDatabaseWrapper._cursor": "drivers/statement.py: unobserved",
    "django.db.backends.base.base.BaseDatabaseWrapper._prepare_cursor": "drivers/statement.py",
    "django.db.backends.base.base.BaseDatabaseWrapper.cursor": "drivers/statement.py",
    "django.db.backends.base.base.BaseDatabaseWrapper.make_cursor": "drivers/statement.py",
    "django.db.backends.base.base.BaseDatabaseWrapper.ensure_connection": "wrapper.py; again.py",
    "django.db.backends.base.base.BaseDatabaseWrapper.on_commit": "transaction.py",
    "django.db.backends.base.operations.BaseDatabaseOperations.integer_field_range": "prepared.py",
    "django.db.backends.base.operations.BaseDatabaseOperations.validate_autopk_value": "prepared.py",
    "django.db.backends.postgresql.operations.DatabaseOperations.adapt_integerfield_value": "prepared.py",
    "django.db.backends.postgresql.base.DatabaseWrapper._close": "wrapper.py, pool.py",
    "django.db.backends.postgresql.base.DatabaseWrapper._set_autocommit": "wrapper.py",
    "django.db.backends.postgresql.base.DatabaseWrapper.chunked_cursor": "streams.py: Stream._begin_chunks",
    "django.db.backends.postgresql.base.DatabaseWrapper.create_cursor": "wrapper.py: create_cursor; drivers/statement.py",
    "django.db.backends.postgresql.base.DatabaseWrapper.close_if_health_check_failed": "drivers/statement.py: _connected",
    "django.db.backends.postgresql.base.DatabaseWrapper.get_connection_params": "again.py",
    "django.db.backends.postgresql.base.DatabaseWrapper.get_new_connection": "wrapper.py; again.py",
    "django.db.backends.postgresql.base.DatabaseWrapper.init_connection_state": "pool.py; again.py",
    "django.db.backends.postgresql.base.DatabaseWrapper.pool": "wrapper.py: pool",
    "django.db.backends.postgresql.psycopg_any.BaseTzLoader": "drivers/results.py, kinds.py",
    "django.db.backends.postgresql.psycopg_any.get_adapters_template": "drivers/results.py",
    "django.db.backends.utils.CursorWrapper": "drivers/psycopg.py: inner_cursor; drivers/statement.py",
    "django.db.models.base.Model.__init__": "plan.py: why_from_db; native/model_plan.pxi",
    "django.db.models.base.Model.__setattr__": "plan.py: why_from_db",
    "django.db.models.base.Model.from_db": "plan.py: why_from_db; native/model_plan.pxi",
    "django.db.models.base.ModelBase.__call__": "plan.py: why_from_db",
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
    "django.db.models.query.QuerySet._iterator": "iterables.py: aiterator",
    "django.db.models.query.QuerySet.aiterator": "iterables.py: aiterator",
    "django.db.models.query.QuerySet.iterator": "iterables.py: aiterator",
    "django.db.models.query.QuerySet._add_hints": "refusals.py: _manager_of",
    "django.db.models.query.RawModelIterable": "raws.py; plan.py: raw",
    "django.db.models.query.RawQuerySet.columns": "plan.py: raw",
    "django.db.models.query.RawQuerySet.resolve_model_init_order": "plan.py: raw",
    "django.db.models.sql.query.RawQuery": "raws.py",
    "django.db.models.query.RelatedPopulator": "plan.py: _relation",
    "django.db.models.query.ValuesIterable": "plan.py: dicts",
    "django.db.models.query.ValuesListIterable": "plan.py: tuples",
    "django.db.models.fields.Field.get_db_prep_value": "shapes.py: Shape.params",
    "django.db.models.fields.AutoFieldMixin.get_db_prep_value": "prepared.py",
    "django.db.models.fields.CharField.get_prep_value": "prepared.py",
    "django.db.models.fields.CharField.to_python": "prepared.py",
    "django.db.models.fields.Field.get_prep_value": "prepared.py",
    "django.db.models.fields.IntegerField.get_db_prep_value": "prepared.py",
    "django.db.models.fields.IntegerField.get_prep_value": "prepared.py",
    "django.db.models.fields.TextField.get_prep_value": "prepared.py",
    "django.db.models.fields.TextField.to_python": "prepared.py",
    "django.db.models.fields.UUIDField.get_db_prep_value": "prepared.py",
    "django.db.models.fields.UUIDField.get_prep_value": "prepared.py",
    "django.db.models.lookups.FieldGetDbPrepValueMixin": "prepared.py",
    "django.db.models.lookups.IntegerFieldOverflow": "prepared.py",
    "django.db.models.lookups.Lookup.get_prep_lookup": "prepared.py",
    "django.db.models.lookups.Exact": "shapes.py: Shape.params",
    "django.db.models.lookups.IntegerFieldExact": "shapes.py: Shape.params",
    "django.db.models.lookups.Lookup.__init__": "shapes.py: Shape.params",
    "django.db.models.lookups.Lookup.process_rhs": "shapes.py: Shape.params",
    "django.db.models.query.QuerySet.__init__": "shapes.py: _told",
    "django.db.models.query.QuerySet._filter_or_exclude": "shapes.py",
    "django.db.models.query.QuerySet._filter_or_exclude_inplace": "shapes.py",
    "django.db.models.query.QuerySet.db": "shapes.py: get",
    "django.db.models.query.QuerySet.filter": "shapes.py",
    "django.db.models.sql.query.Query.__init__": "shapes.py: _known",
    "django.db.models.sql.query.Query.build_filter": "shapes.py: _lookups",
    "django.db.models.sql.query.Query.resolve_lookup_value": "shapes.py: _VALUES",
    "django.db.models.query_utils.Q.__init__": "shapes.py: _lookups",
    "psycopg._cursor_base.BaseCursor._execute_gen": "drivers/statement.py: fetch",
    "psycopg._cursor_base.BaseCursor._maybe_prepare_gen": "drivers/statement.py: fetch",
    "psycopg._queries.PostgresClientQuery": "drivers/statement.py: fetch",
    "psycopg._queries._query2pg_client_nocache": "drivers/statement.py: template_of",
    "django.db.models.query_utils.RegisterLookupMixin": "shapes.py: _exact",
    "django.db.models.query._get_from_db": "plan.py: _from_db",
    "django.db.models.query.get_related_populators": "plan.py: models",
    "django.db.models.query.get_prefetcher": "refusals.py: _of_attribute",
    "django.db.models.query_utils.DeferredAttribute": "plan.py: PLAIN_DESCRIPTORS",
    "django.db.models.sql.compiler.SQLCompiler.apply_converters": "native/plans.pxi",
    "django.db.models.sql.compiler.SQLCompiler.execute_sql": "streams.py: Stream",
    "django.db.models.sql.compiler.SQLCompiler.get_converters": "planning.py: _make",
    "django.db.models.sql.compiler.SQLCompiler.get_related_selections": "plan.py: _relation",
    "django.db.models.sql.compiler.SQLCompiler.has_composite_fields": "planning.py: _make",
    "django.db.models.sql.compiler.SQLCompiler.results_iter": "streams.py: Stream",
    "django.db.models.sql.compiler.cursor_iter": "streams.py: Stream",
    "django.db.models.utils.create_namedtuple_class": "plan.py: named",
    "django.db.transaction.Atomic": "transaction.py; wrapper.py: abort",
    "django.db.transaction.get_connection": "transaction.py: _begin",
    "django.db.transaction.mark_for_rollback_on_error": "transaction.py",
    "django.db.utils.ConnectionHandler.create_connection": "connections.py",
    "django.dispatch.dispatcher.Signal.send": "dispatch.py: async_to_sync_call",
    "django.test.testcases.SimpleTestCase.__call__": "test.py: _OnLoop",
    "django.test.testcases.SimpleTestCase._setup_and_call": "test.py: _OnLoop",
    "django.test.testcases.TestCase._fixture_teardown": "test.py: TestCase",
    "django.test.testcases.TestCase._rollback_atomics": "test.py: TestCase",
    "django.test.testcases.TestCase.captureOnCommitCallbacks": "test.py: TestCase",
    "django.test.testcases.TestCase.setUpClass": "test.py: TestCase",
    "django.test.testcases.TransactionTestCase._fixture_teardown": "test.py: TransactionTestCase",
    "django.test.testcases.TransactionTestCase.assertNumQueries": "test.py: assertNumQueries",
    "django.utils.asyncio.async_unsafe": "refusals.py: refusal; drivers/statement.py",
    "django.utils.connection.BaseConnectionHandler": "connections.py: Routed",
    "psycopg.AsyncConnection.cancel_safe": "drivers/psycopg.py: _cancel_and_drain",
    "psycopg.AsyncConnection.close": "drivers/psycopg.py: Origin",
    "psycopg.AsyncConnection.wait": "drivers/psycopg.py: wait, Origin",
    "psycopg.Connection.close": "drivers/psycopg.py: close",
    "psycopg.Connection.wait": "drivers/psycopg.py: wait",
    "psycopg._connection_base.BaseConnection._connect_gen": "drivers/opening.py",
    "psycopg.Connection.connect": "drivers/opening.py: _opened",
    "psycopg.AsyncConnection.connect": "drivers/psycopg.py: _psycopgs_connect",
    "psycopg.waiting.wait_conn": "drivers/opening.py: _opened",
    "psycopg_pool.AsyncConnectionPool._connect": "drivers/opening.py: PooledKind",
    "psycopg._connection_base.BaseConnection.__init__": "drivers/psycopg.py: Connection",
    "psycopg._connection_base.BaseConnection._start_query": "drivers/statement.py: _fetch",
    "psycopg.Connection.__init__": "drivers/psycopg.py: Connection",
    "psycopg._server_cursor_base.ServerCursorMixin": "drivers/chunks.py",
    "psycopg.types.numeric.IntDumper": "drivers/statement.py: _literals",
    "psycopg.types.numeric._IntDumper": "drivers/statement.py: _literals",
    "psycopg.waiting.wait_async": "drivers/channel.py",
    "psycopg_pool.AsyncConnectionPool._add_to_pool": "idle.py: give; place.py",
    "psycopg_pool.AsyncConnectionPool._get_ready_connection": "idle.py: take; line.py",
    "psycopg_pool.AsyncConnectionPool._getconn_unchecked": "idle.py: take; line.py",
    "psycopg_pool.AsyncConnectionPool._getconn_with_check_loop": "idle.py: take",
    "psycopg_pool.AsyncConnectionPool._maybe_grow_pool": "line.py: join",
    "psycopg_pool.AsyncConnectionPool._reset_connection": "idle.py: give",
    "psycopg_pool.AsyncConnectionPool._return_connection": "idle.py: give",
    "psycopg_pool.AsyncConnectionPool.close": "place.py: fail",
    "psycopg_pool.AsyncConnectionPool.getconn": "pool.py; idle.py: take; line.py",
    "psycopg_pool.AsyncConnectionPool.putconn": "pool.py; idle.py: give",
    "psycopg_pool.pool_async.WaitingClient": "place.py",
    "asgiref.sync.AsyncToSync.__call__": "dispatch.py: async_to_sync_call",
    "asgiref.sync.SyncToAsync.__call__": "bystanders.py: watched",
}


def watched() -> dict[str, str]:
    """Return dotted name -> what stands on it, for every seam and shortcut."""
    found: dict[str, str] = {}
    places = ((name, f"Shortcut: {place}.") for name, place in WATCHED.items())
    for name, what in (*_seams(), *places):
        found[name] = f"{found[name]} {what}" if name in found else what
    return found


def _seams() -> Iterator[tuple[str, str]]:
    from django_async_fast import seams

    for seam in seams.seams():
        yield f"{_name(seam.owner)}.{seam.name}", f"Seam, by seams.py: {seam.reason}."
    for module in (*seams.NATIVE_MODULES, seams.CACHE_MODULE):
        why = "its async methods run on the bridge by this name"
        yield f"{module}.sync_to_async", f"Seam, by NATIVE_MODULES of seams.py: {why}."


def _name(owner: Any) -> str:
    from django.db import connections

    if owner is connections:
        return "django.db.connections"
    if isinstance(owner, ModuleType):
        return owner.__name__
    return f"{owner.__module__}.{owner.__qualname__}"


def release(name: str) -> str:
    """Return the package that `name` is of, with the release that may change it."""
    package = name.partition(".")[0].replace("_", "-")
    number = version(package)
    # Django's and asgiref's code may move with a minor release; psycopg's
    # private parts, on which we stand more often, with any.
    parts = 2 if package in ("django", "asgiref") else 3
    return f"{package} {'.'.join(number.split('.')[:parts])}"


def stock(name: str) -> Any:
    """Return what `name` was before the package was installed, or ABSENT."""
    from django_async_fast import seams

    owner_name, _, attribute = name.rpartition(".")
    owner = locate(owner_name)
    for seam in seams._applied:
        if seam.owner is owner and seam.name == attribute:
            return ABSENT if seam.before is seams._MISSING else seam.before
    return inspect.getattr_static(owner, attribute, ABSENT)


def print_of(name: str) -> str:
    """Return the fingerprint of `name`: of its code, not of comments.

    A name that is not there has one too: Django may come to have what we add.
    """
    module, _, attribute = name.rpartition(".")
    if attribute == "sync_to_async":
        return _hash("\n".join(_uses_of_sync_to_async(module)))
    return _print(stock(name))


def _print(found: Any) -> str:
    if found is ABSENT:
        return ABSENT
    if isinstance(found, dict):
        return _hash(
            "\n".join(f"{key} {_plain(value)}" for key, value in found.items())
        )
    for inside in ("__func__", "func", "fget"):
        found = getattr(found, inside, None) or found
    try:
        return _hash(inspect.getsource(inspect.unwrap(found)))
    except TypeError:  # not code: an object, or a method of a type written in C
        return f"a {type(found).__name__}"


def _plain(value: Any) -> str:
    return getattr(value, "__name__", str(value))


def _uses_of_sync_to_async(module: str) -> list[str]:
    """Return the calls, wherever in the module they are."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return re.findall(r"sync_to_async\([^()]*", Path(spec.origin).read_text())


def _hash(source: str) -> str:
    lines = (line.strip() for line in source.splitlines())
    code = "\n".join(line for line in lines if line and not line.startswith("#"))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def main() -> None:
    import django

    os.environ.setdefault("DATABASE_URL", "dbname=none")  # nothing connects
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    names = watched()
    for each in {release(name) for name in names}:
        known[each] = {name: print_of(name) for name in names if release(name) == each}
    FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

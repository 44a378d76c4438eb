"""The code of others that the package stands on, and how it looked when we did.

What a seam replaces or calls, what a shortcut bypasses: right for the code as it was,
not for the next release's. After reading what changed:  python -m tests.project.canaries
writes the new prints down.
"""

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

# Shortcuts: dotted name, or several with one owner -> what of ours stands on it. Seams
# are in the package's list.
_TOGETHER = {
    "django.core.cache.close_caches": "requests/receivers.py: has_caches",
    "django.template.base.Node.render_annotated": "native/templates.pxi: add_texts",
    "django.template.base.TextNode.render_annotated": "native/templates.pxi: add_texts",
    "django.template.base.Variable.resolve": "native/templates.pxi",
    "django.template.base.render_value_in_context": "native/templates.pxi: shown",
    "django.template.context.ContextDict": "native/templates.pxi: found_in",
    "django.utils.html.conditional_escape escape": "native/templates.pxi: escaped",
    "django.utils.safestring.SafeString mark_safe": "native/templates.pxi",
    "django.utils.formats.get_format localize number_format": "native/templates.pxi: shown",
    "django.utils.numberformat.format": "native/templates.pxi: shown",
    "django.utils.timezone.template_localtime": "native/templates.pxi: shown",
    "django.utils.translation.trans_null.get_language": "native/templates.pxi: language",
    "django.utils.translation.trans_real.get_language": "native/templates.pxi: language",
    "django.utils.translation.trans_real.DjangoTranslation.to_language": "native/templates.pxi: language",
    "django.utils.connection.BaseConnectionHandler.all": "requests/receivers.py: has_caches",
    "django.core.handlers.asgi.ASGIHandler.chunk_bytes send_response": "requests/handler.py: send_response",
    "django.core.handlers.asgi.ASGIHandler.read_body": "requests/handler.py: read_body",
    "django.core.handlers.asgi.ASGIHandler.run_get_response": "requests/handler.py: _respond",
    "django.http.request.HttpHeaders.parse_header_name": "native/headers.pxi: title",
    "django.http.response.HttpResponseBase.items": "native/responses.pxi: encoded_headers",
    "django.http.response.HttpResponseBase.make_bytes": "native/responses.pxi: content_setter",
    "django.http.response.HttpResponseBase.reason_phrase": "native/responses.pxi: begin",
    "django.http.response.ResponseHeaders._convert_to_charset": "native/headers.pxi: set",
    "django.utils.datastructures.CaseInsensitiveMapping.__getitem__ __iter__": "native/responses.pxi: encoded_headers",
    "django.utils.datastructures.CaseInsensitiveMapping.__init__ _unpack_items": "native/headers.pxi: init, init_of_request",
    "django.core.serializers.json.DjangoJSONEncoder.default": "native/responses.pxi: JSONTexts",
    "django.core.handlers.base.BaseHandler.make_view_atomic": "requests/views.py: make_view_atomic",
    "django.db.backends.base.base.BaseDatabaseWrapper.chunked_cursor": "querysets/streams.py: Stream._begin_chunks",
    "django.db.backends.base.base.BaseDatabaseWrapper.__init__": "connections/wrapper_attributes.py: init_attributes",
    "django.db.backends.base.base.BaseDatabaseWrapper.close_if_health_check_failed validate_thread_sharing": "native/sending.pxi: open_connection",
    "django.db.backends.base.base.BaseDatabaseWrapper.get_autocommit init_connection_state set_autocommit": "connections/replayed_connect.py",
    "django.db.backends.base.base.BaseDatabaseWrapper.check_settings": "connections/replayed_connect.py: is_for",
    "django.db.backends.base.base.BaseDatabaseWrapper.close": "connections/wrapper.py: finish; connections/postgresql_wrapper.py: finish_at_once",
    "django.db.backends.base.base.BaseDatabaseWrapper.connect": "connections/wrapper.py, connections/postgresql_wrapper.py: connect; connections/replayed_connect.py",
    "django.db.backends.base.base.BaseDatabaseWrapper._cursor": "drivers/psycopg/statement.py: unobserved",
    "django.db.backends.base.base.BaseDatabaseWrapper._prepare_cursor cursor make_cursor": "drivers/psycopg/statement.py",
    "django.db.backends.base.base.BaseDatabaseWrapper.ensure_connection": "connections/wrapper.py; connections/replayed_connect.py",
    "django.db.backends.base.base.BaseDatabaseWrapper.on_commit": "transactions/functions.py",
    "django.db.backends.base.operations.BaseDatabaseOperations.integer_field_range validate_autopk_value": "querysets/compiled/prepared_values.py",
    "django.db.backends.postgresql.operations.DatabaseOperations.adapt_integerfield_value": "querysets/compiled/prepared_values.py",
    "django.db.backends.postgresql.base.DatabaseWrapper._close": "connections/postgresql_wrapper.py, pool/loop_pool.py",
    "django.db.backends.postgresql.base.DatabaseWrapper._set_autocommit": "connections/postgresql_wrapper.py",
    "django.db.backends.postgresql.base.DatabaseWrapper.chunked_cursor": "querysets/streams.py: Stream._begin_chunks",
    "django.db.backends.postgresql.base.DatabaseWrapper.create_cursor": "connections/postgresql_wrapper.py: create_cursor; drivers/psycopg/statement.py",
    "django.db.backends.postgresql.base.DatabaseWrapper.close_if_health_check_failed": "native/sending.pxi: open_connection",
    "django.db.backends.postgresql.base.DatabaseWrapper.get_connection_params": "connections/replayed_connect.py",
    "django.db.backends.postgresql.base.DatabaseWrapper.get_new_connection": "connections/postgresql_wrapper.py; connections/replayed_connect.py",
    "django.db.backends.postgresql.base.DatabaseWrapper.init_connection_state": "pool/loop_pool.py; connections/replayed_connect.py",
    "django.db.backends.postgresql.base.DatabaseWrapper.pool": "connections/postgresql_wrapper.py: pool",
    "django.db.backends.postgresql.psycopg_any.BaseTzLoader": "drivers/psycopg/results.py, drivers/psycopg/type_kinds.py",
    "django.db.backends.postgresql.psycopg_any.get_adapters_template": "drivers/psycopg/results.py",
    "django.db.backends.utils.CursorWrapper": "drivers/psycopg/connection.py: inner_cursor; drivers/psycopg/statement.py",
    "django.db.models.base.Model.__init__ from_db": "querysets/plans/row_plan.py: why_from_db; native/model_plan.pxi",
    "django.db.models.base.Model.__setattr__": "querysets/plans/row_plan.py: why_from_db",
    "django.db.models.base.ModelBase.__call__": "querysets/plans/row_plan.py: why_from_db",
    "django.db.models.base.ModelState": "native/model_plan.pxi, state_finalizer.h",
    "django.db.models.fields.files.FileDescriptor.__set__": "querysets/plans/row_plan.py: PLAIN_DESCRIPTORS",
    "django.db.models.fields.files.ImageFileDescriptor.__set__": "querysets/plans/row_plan.py",
    "django.db.models.fields.mixins.FieldCacheMixin": "querysets/plans/row_plan.py: _cache_name",
    "django.db.models.fields.related_descriptors.ForeignKeyDeferredAttribute": "querysets/plans/row_plan.py",
    "django.db.models.query.BaseIterable": "querysets/iterables.py: iterable_aiter",
    "django.db.models.query.FlatValuesListIterable": "querysets/plans/row_plan.py: flat",
    "django.db.models.query.ModelIterable": "querysets/plans/row_plan.py: models; native/model_plan.pxi",
    "django.db.models.query.NamedValuesListIterable": "querysets/plans/row_plan.py: named",
    "django.db.models.query.QuerySet.__aiter__ _fetch_all": "querysets/iterables.py: queryset_aiter",
    "django.db.models.query.QuerySet._iterator aiterator iterator": "querysets/iterables.py: aiterator",
    "django.db.models.query.QuerySet._add_hints": "seams/refusals.py: _manager_of",
    "django.db.models.query.RawModelIterable": "querysets/raw.py; querysets/plans/row_plan.py: raw",
    "django.db.models.query.RawQuerySet.columns resolve_model_init_order": "querysets/plans/row_plan.py: raw",
    "django.db.models.sql.query.RawQuery": "querysets/raw.py",
    "django.db.models.query.RelatedPopulator": "querysets/plans/row_plan.py: _relation",
    "django.db.models.query.ValuesIterable": "querysets/plans/row_plan.py: dicts",
    "django.db.models.query.ValuesListIterable": "querysets/plans/row_plan.py: tuples",
    "django.db.models.fields.Field.get_db_prep_value": "querysets/compiled/holes.py: Hole",
    "django.db.models.fields.AutoFieldMixin.get_db_prep_value": "querysets/compiled/prepared_values.py",
    "django.db.models.fields.CharField.get_prep_value to_python": "querysets/compiled/prepared_values.py",
    "django.db.models.fields.Field.get_prep_value": "querysets/compiled/prepared_values.py",
    "django.db.models.fields.IntegerField.get_db_prep_value get_prep_value": "querysets/compiled/prepared_values.py",
    "django.db.models.fields.TextField.get_prep_value to_python": "querysets/compiled/prepared_values.py",
    "django.db.models.fields.UUIDField.get_db_prep_value get_prep_value": "querysets/compiled/prepared_values.py",
    "django.db.models.lookups.FieldGetDbPrepValueMixin IntegerFieldOverflow": "querysets/compiled/prepared_values.py",
    "django.db.models.lookups.Lookup.get_prep_lookup": "querysets/compiled/prepared_values.py",
    "django.db.models.lookups.Exact IntegerFieldExact": "querysets/compiled/holes.py: Hole",
    "django.db.models.lookups.Lookup.__init__ process_rhs": "querysets/compiled/holes.py: Hole",
    "django.db.models.query.QuerySet.__init__": "querysets/compiled/paths.py: FRESH",
    "django.db.models.query.QuerySet._filter_or_exclude _filter_or_exclude_inplace filter": "querysets/compiled/methods.py",
    "django.db.models.query.QuerySet.db": "querysets/compiled/execution.py: statement",
    "django.db.models.sql.query.Query.__init__": "querysets/compiled/paths.py: replay",
    "django.db.models.sql.query.Query.build_filter": "querysets/compiled/holes.py: found",
    "django.db.models.sql.query.Query.resolve_lookup_value": "querysets/compiled/holes.py: Hole",
    "django.db.models.query_utils.Q.__init__": "querysets/compiled/holes.py: found",
    "django.db.backends.base.operations.BaseDatabaseOperations.compiler": "querysets/compiled/asks.py: count",
    "django.db.backends.base.operations.BaseDatabaseOperations.limit_offset_sql": "querysets/compiled/entry.py: learn; native/statements.pxi",
    "django.db.models.expressions.BaseExpression.convert_value": "querysets/plans/plan_cache.py: needs_connection",
    "django.db.models.lookups.BuiltinLookup.as_sql process_lhs": "querysets/compiled/holes.py: Hole.simple",
    "django.db.models.lookups.Exact.as_sql": "querysets/compiled/holes.py: Hole.simple",
    "django.db.models.query.QuerySet._chain": "querysets/compiled/methods.py: clone",
    "django.db.models.query.QuerySet.ordered": "querysets/compiled/methods.py: LOOKING",
    "django.db.models.query.QuerySet.query": "querysets/compiled/paths.py: LazyQuery",
    "django.db.models.query.QuerySet._values _annotate": "querysets/compiled/methods.py: METHODS",
    "django.db.models.sql.compiler.SQLCompiler.as_sql": "querysets/compiled/entry.py: learn",
    "django.db.models.sql.compiler.SQLCompiler.has_results": "querysets/compiled/asks.py: exists",
    "django.db.models.sql.query.Query.build_lookup": "querysets/compiled/holes.py: Hole.lookup",
    "django.db.models.sql.query.Query.clone": "querysets/compiled/holes.py: punch",
    "django.db.models.sql.query.Query.exists has_results": "querysets/compiled/asks.py: exists",
    "django.db.models.sql.query.Query.get_aggregation get_count": "querysets/compiled/asks.py: count",
    "django.db.models.sql.query.Query.set_limits": "querysets/compiled/methods.py: sliced",
    "django.db.models.sql.where.WhereNode": "querysets/compiled/holes.py: punch",
    "django.utils.tree.Node.add": "querysets/compiled/holes.py: found",
    "psycopg._copy_base.BaseCopy._read_gen": "drivers/psycopg/copies.py: read",
    "psycopg._copy.Copy.finish": "drivers/psycopg/copies.py: copying, Savepoint",
    "psycopg.cursor.Cursor.copy": "drivers/psycopg/copies.py: copying",
    "psycopg._cursor_base.BaseCursor._execute_gen _maybe_prepare_gen": "native/sending.pxi: operation",
    "psycopg._preparing.PrepareManager": "drivers/psycopg/prepared_statements.py; native/bound_statements.pxi: bound_operation",
    "psycopg._queries.PostgresClientQuery": "drivers/psycopg/statement.py: merged",
    "psycopg._queries._query2pg_client_nocache": "drivers/psycopg/statement.py: template_of",
    "django.db.models.query_utils.RegisterLookupMixin": "querysets/compiled/methods.py: Registering",
    "django.db.models.query._get_from_db": "querysets/plans/row_plan.py: _from_db",
    "django.db.models.query.get_related_populators": "querysets/plans/row_plan.py: models",
    "django.db.models.query.get_prefetcher": "seams/refusals.py: _of_attribute",
    "django.db.models.query_utils.DeferredAttribute": "querysets/plans/row_plan.py: PLAIN_DESCRIPTORS",
    "django.db.models.sql.compiler.SQLCompiler.apply_converters": "native/plans.pxi",
    "django.db.models.sql.compiler.SQLCompiler.execute_sql results_iter": "querysets/streams.py: Stream",
    "django.db.models.sql.compiler.SQLCompiler.get_converters has_composite_fields": "querysets/plans/plan_cache.py: common",
    "django.db.models.sql.compiler.SQLCompiler.get_related_selections": "querysets/plans/row_plan.py: _relation",
    "django.db.models.sql.compiler.cursor_iter": "querysets/streams.py: Stream",
    "django.db.models.utils.create_namedtuple_class": "querysets/plans/row_plan.py: named",
    "django.db.transaction.Atomic": "transactions/atomic.py; connections/transaction_statements.py: abort",
    "django.db.transaction.get_connection": "transactions/atomic.py: _begin",
    "django.db.transaction.mark_for_rollback_on_error": "transactions/functions.py",
    "django.db.utils.ConnectionHandler.create_connection": "connections/routing.py",
    "django.dispatch.dispatcher.Signal.send": "connections/dispatch.py: async_to_sync_call",
    "django.db.models.base.Model._save_table": "querysets/compiled/saves.py, querysets/compiled/updates.py, querysets/compiled/inserts.py",
    "django.db.models.base.Model._assign_returned_values": "querysets/compiled/saves.py: SaveCall.done",
    "django.db.models.base.Model._do_insert _get_pk_val _is_pk_set": "querysets/compiled/saves.py",
    "django.db.models.fields.DateField.get_prep_value": "querysets/compiled/saved_values.py",
    "django.db.models.deletion.Collector.delete": "querysets/compiled/deletes.py",
    "django.db.models.expressions.CombinedExpression DurationExpression": "querysets/compiled/filtered_updates.py",
    "django.db.models.expressions.Value.as_sql": "querysets/compiled/filtered_updates.py",
    "django.db.models.lookups.In.process_rhs": "querysets/compiled/writes.py: Key",
    "django.db.models.query.QuerySet._update": "querysets/compiled/updates.py",
    "django.db.models.sql.compiler.SQLDeleteCompiler": "querysets/compiled/deletes.py",
    "django.db.models.sql.compiler.SQLInsertCompiler": "querysets/compiled/inserts.py, querysets/bulk/inserts.py",
    "django.db.models.sql.compiler.SQLUpdateCompiler": "querysets/compiled/updates.py",
    "django.db.models.sql.subqueries.DeleteQuery": "querysets/compiled/deletes.py",
    "django.db.models.sql.subqueries.InsertQuery": "querysets/compiled/inserts.py",
    "django.db.models.sql.subqueries.UpdateQuery": "querysets/compiled/updates.py",
    "django.db.backends.postgresql.compiler.SQLInsertCompiler": "querysets/compiled/inserts.py, querysets/bulk/inserts.py",
    "django.db.backends.postgresql.operations.DatabaseOperations.bulk_insert_sql fetch_returned_rows": "querysets/compiled/inserts.py",
    "django.db.backends.base.operations.BaseDatabaseOperations.adapt_decimalfield_value": "querysets/bulk/columns.py",
    "django.db.backends.postgresql.operations.DatabaseOperations.adapt_datefield_value adapt_datetimefield_value adapt_durationfield_value adapt_json_value adapt_timefield_value": "querysets/bulk/columns.py",
    "django.db.models.fields.AutoFieldMixin.get_db_prep_save": "querysets/bulk/columns.py",
    "django.db.models.fields.BinaryField.get_db_prep_value": "querysets/bulk/columns.py",
    "django.db.models.fields.BooleanField.get_prep_value": "querysets/bulk/columns.py; querysets/compiled/saved_values.py",
    "django.db.models.fields.BooleanField.to_python": "querysets/bulk/columns.py",
    "django.db.models.fields.DateField.get_db_prep_value to_python": "querysets/bulk/columns.py",
    "django.db.models.fields.DateField.pre_save": "querysets/bulk/columns.py; querysets/compiled/saves.py: Row.params",
    "django.db.models.fields.DateTimeField.get_db_prep_value": "querysets/bulk/columns.py",
    "django.db.models.fields.DateTimeField.get_prep_value to_python": "querysets/bulk/columns.py; querysets/compiled/saved_values.py",
    "django.db.models.fields.DateTimeField.pre_save": "querysets/bulk/columns.py; querysets/compiled/saves.py: Row.params",
    "django.db.models.fields.DecimalField.get_db_prep_value get_prep_value to_python": "querysets/bulk/columns.py",
    "django.db.models.fields.DurationField.get_db_prep_value": "querysets/bulk/columns.py",
    "django.db.models.fields.Field.get_db_prep_save": "querysets/bulk/columns.py; querysets/compiled/saved_values.py",
    "django.db.models.fields.Field.pre_save": "querysets/bulk/columns.py; querysets/compiled/saves.py: Row.params",
    "django.db.models.fields.FloatField.get_prep_value": "querysets/bulk/columns.py; querysets/compiled/saved_values.py",
    "django.db.models.fields.TimeField.get_db_prep_value to_python": "querysets/bulk/columns.py",
    "django.db.models.fields.TimeField.get_prep_value": "querysets/bulk/columns.py; querysets/compiled/saved_values.py",
    "django.db.models.fields.TimeField.pre_save": "querysets/bulk/columns.py; querysets/compiled/saves.py: Row.params",
    "django.db.models.fields.UUIDField.to_python": "querysets/bulk/columns.py",
    "django.db.models.fields.related.ForeignKey.get_db_prep_save": "querysets/bulk/columns.py; querysets/compiled/saved_values.py",
    "django.db.models.fields.related.ForeignKey.get_db_prep_value": "querysets/bulk/columns.py",
    "django.db.models.query.QuerySet._batched_insert": "querysets/bulk/inserts.py",
    "django.db.models.expressions.Case Value When": "querysets/bulk/updates.py",
    "django.db.models.functions.comparison.Cast": "querysets/bulk/updates.py",
    "django.db.models.fields.CharField.cast_db_type": "querysets/bulk/updates.py",
    "django.db.models.fields.Field.cast_db_type": "querysets/bulk/updates.py",
    "psycopg.types.json._JsonWrapper": "querysets/bulk/columns.py: _dumped",
    "django.test.testcases.SimpleTestCase.__call__ _setup_and_call": "testing/cases.py: _OnLoop",
    "django.test.testcases.TestCase._fixture_teardown _rollback_atomics captureOnCommitCallbacks setUpClass": "testing/cases.py: TestCase",
    "django.test.testcases.TransactionTestCase._fixture_teardown": "testing/cases.py: TransactionTestCase",
    "django.test.testcases.TransactionTestCase.assertNumQueries": "testing/cases.py: assertNumQueries",
    "django.utils.asyncio.async_unsafe": "seams/refusals.py: refusal; drivers/psycopg/statement.py",
    "django.utils.connection.BaseConnectionHandler": "connections/routing.py: ConnectionStorage",
    "psycopg.AsyncConnection.cancel_safe": "drivers/psycopg/cancellation.py",
    "psycopg.AsyncConnection.close connect": "drivers/psycopg/session.py",
    "psycopg.AsyncConnection.wait": "drivers/psycopg/connection.py: wait; drivers/psycopg/session.py",
    "psycopg.Connection.close": "drivers/psycopg/connection.py: close",
    "psycopg.Connection.wait": "drivers/psycopg/connection.py: wait",
    "psycopg._connection_base.BaseConnection._connect_gen": "drivers/psycopg/connect_hooks.py",
    "psycopg.Connection.connect": "drivers/psycopg/connect_hooks.py: _opened",
    "psycopg.waiting.wait_conn": "drivers/psycopg/connect_hooks.py: _opened",
    "psycopg_pool.AsyncConnectionPool._connect": "drivers/psycopg/connect_hooks.py: PoolConnectionClass",
    "psycopg._connection_base.BaseConnection.__init__": "drivers/psycopg/connection.py: Connection",
    "psycopg._connection_base.BaseConnection._start_query": "native/sending.pxi: operation; drivers/psycopg/statement.py: _execute",
    "psycopg.Connection.__init__": "drivers/psycopg/connection.py: Connection",
    "psycopg._server_cursor_base.ServerCursorMixin": "drivers/psycopg/open_cursors.py",
    "psycopg.types.numeric.IntDumper _IntDumper": "drivers/psycopg/literals.py",
    "psycopg.waiting.wait_async": "drivers/psycopg/channel.py",
    "psycopg_pool.AsyncConnectionPool._add_to_pool": "native/idle_connections.pxi: give; pool/waiting_client.py",
    "psycopg_pool.AsyncConnectionPool._get_ready_connection _getconn_unchecked": "native/idle_connections.pxi: take; pool/waiting_line.py",
    "psycopg_pool.AsyncConnectionPool._getconn_with_check_loop": "native/idle_connections.pxi: take",
    "psycopg_pool.AsyncConnectionPool._maybe_grow_pool": "pool/waiting_line.py: join",
    "psycopg_pool.AsyncConnectionPool._reset_connection _return_connection": "native/idle_connections.pxi: give",
    "psycopg_pool.AsyncConnectionPool.close": "pool/waiting_client.py: fail",
    "psycopg_pool.AsyncConnectionPool.getconn": "pool/loop_pool.py; native/idle_connections.pxi: take; pool/waiting_line.py",
    "psycopg_pool.AsyncConnectionPool.putconn": "pool/loop_pool.py; native/idle_connections.pxi: give",
    "psycopg_pool.pool_async.WaitingClient": "pool/waiting_client.py",
    "asgiref.local._CVar": "requests/receivers.py: has_caches; native/lookups.pxi",
    "asgiref.local._Storage": "native/lookups.pxi",
    "django.http.request.QueryDict._assert_mutable appendlist encoding setlist setlistdefault": "pages/requests.py: FIELDS; native/query_strings.pxi",
    "django.utils.datastructures.MultiValueDict.__init__ _getlist appendlist setlist setlistdefault": "pages/requests.py: FIELDS; native/query_strings.pxi",
    "django.http.request.bytes_to_text": "native/query_strings.pxi",
    "django.http.request.HttpRequest._get_raw_host": "native/requests.pxi: host_getter",
    "django.http.request.HttpRequest._set_content_type_params": "native/requests.pxi: ScopeRequests",
    "django.http.request.split_domain_port validate_host": "native/requests.pxi: host_getter",
    "django.utils.datastructures.MultiValueDict.getlist": "native/url_reversing.pxi: path",
    "django.utils.http.escape_leading_slashes": "native/url_reversing.pxi: quoted",
    "django.utils.http.is_same_domain": "native/requests.pxi: host_getter",
    "django.utils.http.parse_header_parameters": "native/requests.pxi: ScopeRequests",
    "django.core.handlers.asgi.get_script_prefix": "native/requests.pxi: ScopeRequests",
    "django.core.handlers.wsgi.get_bytes_from_wsgi": "native/requests.pxi: environ_readers",
    "django.utils.encoding.repercent_broken_unicode": "native/requests.pxi: environ_readers",
    "django.urls.base.get_ns_resolver get_resolver get_script_prefix get_urlconf reverse": "native/url_reversing.pxi: reversed, inside",
    "django.urls.converters.IntConverter PathConverter SlugConverter StringConverter": "native/url_matching.pxi: match_converters; native/url_reversing.pxi: texts",
    "django.urls.converters.UUIDConverter": "native/url_reversing.pxi: texts",
    "django.urls.resolvers.RegexPattern.__str__ match": "native/url_matching.pxi: match_regex",
    "django.urls.resolvers.ResolverMatch.__init__": "native/resolver_matches.pxi; native/url_resolving.pxi: merge",
    "django.urls.resolvers.RoutePattern.__str__ match": "native/url_matching.pxi: match_route, match_converters",
    "django.urls.resolvers.URLPattern.resolve": "native/url_resolving.pxi: leaf",
    "django.urls.resolvers.URLResolver.app_dict namespace_dict reverse_dict": "native/url_reversing.pxi: known",
    "django.urls.resolvers.URLResolver._extend_tried _join_route": "native/url_resolving.pxi: extend, merge",
    "asgiref.sync.ThreadSensitiveContext": "requests/handler.py: __call__",
    "django.core.handlers.asgi.ASGIHandler.__call__": "requests/handler.py: __call__",
    "asgiref.sync.AsyncToSync.__call__": "connections/dispatch.py: async_to_sync_call",
    "asgiref.sync.SyncToAsync.__call__": "connections/block_threads.py: run",
}
WATCHED = {
    f"{dotted.rpartition('.')[0]}.{name}": place
    for dotted, place in _TOGETHER.items()
    for name in dotted.rpartition(".")[2].split()
}


def watched() -> dict[str, str]:
    """Return dotted name -> what stands on it, for every seam and shortcut."""
    found: dict[str, str] = {}
    places = ((name, f"Shortcut: {place}.") for name, place in WATCHED.items())
    for name, what in (*_seams(), *places):
        found[name] = f"{found[name]} {what}" if name in found else what
    return found


def _seams() -> Iterator[tuple[str, str]]:
    from django_async_fast.seams import seam_list

    for seam in seam_list.seams():
        yield (
            f"{_name(seam.owner)}.{seam.name}",
            f"Seam, by seams/seam_list.py: {seam.reason}.",
        )
    for module in (*seam_list.NATIVE_MODULES, seam_list.CACHE_MODULE):
        why = "its async methods run on the bridge by this name"
        yield (
            f"{module}.sync_to_async",
            f"Seam, by NATIVE_MODULES of seams/seam_list.py: {why}.",
        )


def _name(owner: Any) -> str:
    from django.db import connections

    if owner is connections:
        return "django.db.connections"
    if isinstance(owner, ModuleType):
        return owner.__name__
    kind = owner if isinstance(owner, type) else type(owner)
    return f"{kind.__module__}.{kind.__qualname__}"


def known_prints() -> dict[str, dict[str, str]]:
    """Return dotted name -> release -> how it looked; a line for each owner's."""
    owners = json.loads(FILE.read_text()) if FILE.exists() else {}
    return {
        f"{owner}.{name}": prints
        for owner, names in owners.items()
        for name, prints in names.items()
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
    """Return what `name` was before the package was installed, or ABSENT."""
    from django_async_fast.seams import installation

    owner_name, _, attribute = name.rpartition(".")
    owner = locate(owner_name)
    for seam in installation._applied:
        if seam.owner is owner and seam.name == attribute:
            return ABSENT if seam.before is installation._MISSING else seam.before
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
    if isinstance(found, property) and found.fset is not None:
        return _hash(_print(found.fget) + _print(found.fset))
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
    source = Path(find_spec(module).origin).read_text()
    return re.findall(r"sync_to_async\([^()]*", source)


def _hash(source: str) -> str:
    lines = (line.strip() for line in source.splitlines())
    code = "\n".join(line for line in lines if line and not line.startswith("#"))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def main() -> None:
    import django

    os.environ.setdefault("DATABASE_URL", "dbname=none")  # nothing connects
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    names = watched()
    installed = {release(name) for name in names}
    known: dict[str, dict[str, str]] = {name: {} for name in names}
    for name, prints in known_prints().items():
        kept = {each: found for each, found in prints.items() if each not in installed}
        known.setdefault(name, {}).update(kept)
    for name in names:
        known[name][release(name)] = print_of(name)
    owners: dict[str, dict[str, Any]] = {}
    for name, prints in known.items():
        owner, _, attribute = name.rpartition(".")
        if prints:
            owners.setdefault(owner, {})[attribute] = prints
    lines = (
        f" {json.dumps(owner)}: {json.dumps(owners[owner], sort_keys=True)}"
        for owner in sorted(owners)
    )
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()

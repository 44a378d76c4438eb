"""Typed attributes of django_async_fast._rows, and who owns a row.

A row is an array of `plan.width` references that `load` fills and the caller owns.
`build` may take a reference out and leaves NULL in its place; the caller releases
what is left. Converters replace a reference in place.
"""
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint8_t, uint32_t


cdef extern from "row_decoder.h":
    const char *ROW_DECODER_CAPSULE
    int ROW_DECODER_ABI
    ctypedef struct row_decoder:
        uint32_t abi
        uint32_t columns
        void *ctx
        int (*decode_row)(
            void *ctx, const void *result, int row, PyObject **out
        ) noexcept


cdef extern from "inline_values.h":
    ctypedef struct inline_places:
        uint8_t count
        uint8_t places[30]


cdef struct Slot:
    PyObject *name  # borrowed from the plan's list of names, interned
    Py_ssize_t column


cdef class _Converter:
    cdef Py_ssize_t column
    cdef tuple functions
    cdef object expression
    cdef bint zoned  # whether a function asks for the connection's time zone


cdef class CompiledConverter:
    cdef str name  # of the backend's method

    cdef object convert(self, object value, object expression, object connection, zone)
    cdef object ask(self, object value, object expression, object connection)


cdef class BooleanConverter(CompiledConverter):
    pass


cdef class DateConverter(CompiledConverter):
    pass


cdef class TimeConverter(CompiledConverter):
    pass


cdef class DateTimeConverter(CompiledConverter):
    pass


cdef class AwareConverter(CompiledConverter):
    pass


cdef class UUIDConverter(CompiledConverter):
    pass


cdef class DurationConverter(CompiledConverter):
    pass


cdef class DecimalConverter(CompiledConverter):
    cdef object create  # a float's first digits
    cdef object create_of_digits  # of an int or a str
    cdef object quantum, context


cdef class TextReader:
    cdef object otherwise


cdef class DateText(TextReader):
    pass


cdef class TimeText(TextReader):
    pass


cdef class DateTimeText(TextReader):
    pass


cdef class Plan:
    cdef readonly Py_ssize_t width
    cdef bint ready
    cdef tuple converters  # of _Converter; None when there are none
    cdef bint zoned  # whether one of them asks for the connection's time zone
    cdef object connection, translate_error

    cdef int check_column(self, Py_ssize_t column) except -1
    cdef int convert(self, PyObject **row, object connection, zone) except -1
    cdef object build(self, PyObject **row)


cdef class TuplePlan(Plan):
    pass


cdef class FlatPlan(Plan):
    pass


cdef class NamedPlan(Plan):
    cdef object tuple_class


cdef class DictPlan(Plan):
    cdef tuple names
    cdef dict template


cdef class ModelPlan(Plan):
    cdef object model, state_class, db, fetch_mode, from_db
    cdef list attnames
    cdef Slot *slots
    cdef Py_ssize_t slot_count
    cdef inline_places places  # of `_state` and the slots
    cdef inline_places state_places
    cdef Py_ssize_t pk_column
    cdef list peers  # of weak references; None when they are not tracked
    cdef tuple annotations, relations, known
    cdef bint bare  # nothing left to do once the instance exists
    cdef bint takes  # an outermost plan may move its references out of the row
    cdef bint uses_state  # for peers or for a relation stored directly
    cdef bint lists  # from_db gets its values in a list, not in a tuple

    cdef int set_columns(self, list columns) except -1
    cdef int set_relations(self, tuple relations) except -1
    cdef int find_places(self) except -1
    cdef void hand_over_lists(self)
    cdef object make(self, PyObject **row, bint take, str owner_cache, object owner)
    cdef object call_from_db(self, PyObject **row)
    cdef object new_state(self)
    cdef int set_state(self, object state) except -1
    cdef object new_instance(self, PyObject **row, object state, bint take)
    cdef int set_attributes(self, object obj, PyObject **row, object state) except -1
    cdef int complete(
        self, PyObject **row, object obj, object state, str owner_cache, object owner
    ) except -1


cdef class _Annotation:
    cdef str name
    cdef Py_ssize_t column
    cdef bint direct


cdef class Relation:
    cdef ModelPlan plan
    cdef object local_setter, remote_setter
    cdef str local_cache, remote_cache


cdef class KnownRelated:
    cdef object field
    cdef str name
    cdef dict related
    cdef tuple attnames

    cdef int set(self, object obj) except -1


cdef class Batch:
    cdef readonly Py_ssize_t rows

    cdef object item(self, Py_ssize_t index)


cdef class RowBatch(Batch):
    cdef Plan plan
    cdef object connection  # what converters are called with
    cdef object zone  # its time zone, where they ask for it

    cdef int set_plan(self, Plan plan, connection=*) except -1
    cdef int load(self, Py_ssize_t index, PyObject **out) noexcept


cdef class ListBatch(Batch):
    cdef list items


cdef class Part(Batch):
    cdef Batch whole
    cdef Py_ssize_t first


cdef class TupleBatch(RowBatch):
    cdef list values
    cdef bint as_they_are


cdef class ResultBatch(RowBatch):
    cdef object decoder, capsule, owner
    cdef const row_decoder *decode
    cdef const void *result


cdef class RowIterator:
    cdef object source  # None: finished
    cdef Batch batch
    cdef Py_ssize_t position, rows

    cdef bint fetch(self) except -1
    cdef int failed(self) except -1


cdef class AsyncRowIterator:
    cdef object source  # None: finished
    cdef Batch batch
    cdef Py_ssize_t position, rows
    cdef object pending  # the fetch under way, as an iterator
    cdef object waiting_for  # the future it yielded last
    cdef object stop  # a StopIteration to use again
    cdef long long since  # when the loop last had control, ns; 0: just now
    cdef int credit  # ready items until the clock is looked at; 0 while suspended
    cdef bint paused, running

    cdef object step(self, object sent, bint *suspends)
    cdef object slow_step(self, object sent, bint *suspends)
    cdef object take(self)
    cdef bint owes_pause(self) except -1
    cdef int fetch(self) except -1
    cdef object resume(self, object sent, bint *suspends)
    cdef int remember(self, object yielded) except -1
    cdef int adopt(self, object batch) except -1
    cdef object drive(self, object sent)
    cdef int check_idle(self, str method) except -1
    cdef object finish(self)
    cdef void abandon(self)
    cdef int failed(self) except -1


cdef enum:
    WATCHED_CLASSES = 10


cdef class ClassWatch:
    cdef tuple classes
    cdef object asked
    cdef tuple names
    cdef list seen  # what each class has by these names
    cdef bint answer
    cdef tuple mros, dicts
    cdef unsigned long long changes  # as many there had been
    cdef unsigned int versions[WATCHED_CLASSES]


cdef class AttributeHooks:
    cdef object kind
    cdef str bound
    cdef frozenset quiet
    cdef object changed

    cdef object next_owner(self, instance, str method)
    cdef int tell(self, instance, name, before) except -1


cdef class Parameter:
    cdef ClassWatch watch
    cdef readonly object kind  # the exact class of values
    cdef bint aware  # whether they need a time zone
    cdef object wrap  # psycopg's class for numbers of a size, or None
    cdef object low, high
    cdef str pattern  # of LIKE, or None
    cdef readonly str attname  # of an instance, in whose place its key is; or None
    cdef readonly bint many
    cdef object array  # what makes one parameter of many values, or None

    cdef bint takes(self, value) except -1
    cdef object one(self, value)
    cdef object key_of(self, value)
    cdef object plain(self, value)
    cdef object array_of(self, tuple values)


cdef class Hole:
    cdef readonly object kind, lhs
    cdef public Parameter prepared
    cdef readonly bint simple
    cdef readonly str vendor
    cdef tuple watches

    cdef bint is_chosen(self) except -1
    cdef object make(self, value)


cdef class Node:
    cdef public dict children, entries, seen
    cdef public dict sets  # attributes that the last step gives to its queryset
    cdef public tuple own
    cdef public str why_not
    cdef public object peeked
    cdef dict leads
    cdef public bint sticky  # the next filter uses the joins of the last one
    cdef readonly tuple slots, holes
    cdef readonly object epoch
    cdef public long long used  # when it was, by the clock of the steps
    cdef int unknown  # steps in a row that were not known

    cdef bint is_tired(self)
    cpdef bint has_seen(self, key) except -1


cdef class Path:
    cdef readonly Node node
    cdef readonly tuple steps, values, limits
    cdef public bint fresh
    cdef public object query, peek
    cdef public tuple led


cdef class Root:
    cdef object __weakref__
    cdef readonly Node node
    cdef ClassWatch watch


cdef class StepKeys:
    cdef object plain, model, q, safe_string, enum, lazy, aggregates
    cdef frozenset of_aggregate

    cdef object key_of_value(self, value)
    cdef object key_of_q(self, connector, negated, children, list found)
    cdef object plain_key(self, str kind, dict kwargs, list found)
    cdef str add_aggregate(self, list found, name, aggregate)
    cdef object keep(self, value)
    cdef object keep_child(self, child)
    cdef object keep_all(self, tuple args)


cdef class Steps:
    cdef public object epoch
    cdef public bint learns_at_once
    cdef public Py_ssize_t size  # nodes and statements
    cdef public long long clock  # as many have been learnt
    cdef public Py_ssize_t hits  # statements that were filled in
    cdef dict fresh
    cdef frozenset methods
    cdef dict new
    cdef tuple kept
    cdef StepKeys keys
    cdef object is_made_once
    cdef public object late_filter

    cdef Path path_on(self, dict values)
    cdef bint has_own_method(self, dict values) except -1
    cdef Path path_of(self, dict values, int looks=*)
    cdef Path late(self, dict values, Path path, int looks)
    cdef object put_off_next(self, queryset, dict values, Path path, tuple conditions)
    cdef object copy_of(self, queryset, dict values, Path path)
    cdef object filtered(
        self, queryset, dict values, Path path, str name, function, negate, tuple args,
        dict kwargs,
    )
    cdef object by_conditions(
        self, dict values, Path path, str name, function, negate, tuple args,
        dict kwargs, int looks,
    )
    cdef object take(
        self, queryset, dict values, Path path, function, key, list items, tuple args,
        dict kwargs, bint may_change,
    )
    cdef object moved(self, queryset, dict values, found)
    cdef object taken(
        self, dict values, Path path, function, key, list items, tuple args,
        dict kwargs, bint may_change, negate, int looks,
    )
    cdef object of_get(
        self, dict values, Path path, filter_by, limit, tuple args, dict kwargs, int looks
    )
    cdef Path limit_path(self, Path path, function)
    cdef int lead(self, Path path) except -1
    cdef Path led(self, dict values, Path path, str name, tuple args)
    cdef Path bulk(self, dict values, Path path, filter_by, tuple args, dict kwargs)
    cdef Node child_of(self, Node node, key)


cdef class Statement:
    cdef public object kind  # the class of Django's compiler
    # Django's, of the query without values or connection; None where it is not asked.
    cdef public object compiler
    cdef public long long used  # when it was, by the clock of the steps
    cdef public object made, make_plan
    cdef public bint instances  # whether its rows become instances
    cdef public tuple watches  # of the compiler and the models; None to ask each time
    cdef public object cursor_iter  # Django's
    cdef public tuple kinds  # what watches the classes of its columns and conditions
    # Of its models: (the list by which they are ordered, what was in it).
    cdef public tuple orderings
    cdef public object converters  # of the rows, in the place of Django's; or None
    cdef public tuple simple, prepared
    cdef public object no_limit
    cdef public tuple models
    cdef public list lent
    cdef public Py_ssize_t columns
    cdef public bint calls_project  # whether to build its rows may
    cdef public str tail  # what comes after its LIMIT
    cdef public bint locks  # FOR UPDATE, which Django refuses outside a transaction
    cdef public bint binds  # whether its values may be sent beside it
    cdef readonly tuple holes
    cdef readonly list parts
    cdef object template_of
    cdef object template  # where no value changes it
    cdef tuple limited  # the last slice, and its text

    cdef tuple filled(self, Path path, connections, alias, list arrays)
    cdef int fill_hole(
        self, Py_ssize_t place, value, list texts, list params, connections, alias,
        list arrays,
    ) except -1
    cdef int ask(
        self, Py_ssize_t place, value, list texts, list params, wrapper
    ) except -1
    cdef bint is_ordered_so(self)


cdef class Literals:
    cdef dict kinds  # class of values -> (how it is written, psycopg's dumper)
    cdef object adapters_map, text, is_psycopgs, transformer, is_utf8

    cdef bint learns(self, kind, dumper) except -1
    cdef object literal(self, raw, int how, value)
    cdef object quoted(self, raw, str value)


cdef class Sender:
    cdef RoundTrips round_trips
    cdef object watch_of
    cdef dict watches  # by class of wrappers
    cdef tuple names
    cdef object connections, cursor, cursor_wrapper
    cdef dict utils
    cdef object settings, apps, running_loop, refuse, tuple_row
    cdef Literals literals
    cdef object merged, execute, result_format, failed, more_results, binding_cursor
    cdef object get_dumper
    cdef dict integers  # int and psycopg's
    cdef dict kinds
    cdef object is_dumper, manager_of, forgotten, no_prepare, should_prepare
    cdef object in_transaction, join

    cdef bint debugs(self) except -1
    cdef object open_connection(self, wrapper, bint binds, bint waits=*)
    cdef bint goes_with_others(self, raw) except -1
    cpdef Bound bound(self, raw, bytes template, tuple params)
    cpdef object text(self, raw, sql, params)


cdef class WaitingRead:
    cdef Py_ssize_t forks


cdef class Bound:
    cdef readonly bytes query
    cdef readonly tuple types
    cdef readonly list values, formats


cdef class Reader:
    cdef Sender sender
    cdef object decoders_of, json_loader, converted, failed, takes_arrays

    cpdef object read(
        self, wrapper, Plan plan, types, Py_ssize_t columns, sql, params,
        bytes template, bint binds=*, list arrays=*,
    )
    cdef object decoders(self, raw, bint asks=*)
    cdef Batch batch_of(
        self, wrapper, raw, decoders, Plan plan, types, Py_ssize_t columns, result
    )
    cdef Batch known_batch(self, raw, decoders, Plan plan, types, result)
    cdef object batch(self, Plan plan, decoder, result)


cdef class QuerysetCall:
    cdef public object queryset
    cdef public tuple args
    cdef public dict kwargs
    cdef public object limited
    cdef readonly Path path  # of the statement that was found
    cdef public object alias  # what a router that was asked has answered
    cdef public bint of_get  # whether they are the rows that `get()` looks at


cdef class StatementRun:
    cdef Statement statement
    cdef object plan, types, lent
    cdef bint keeps
    cdef object alias
    cdef tuple params
    cdef bytes template
    cdef list arrays
    cdef Path path
    cdef object connections

    cdef str sql(self)


cdef class Databases:
    cdef dict names
    cdef ClassWatch watch
    cdef object kind, db, default

    cdef object of(self, queryset, dict values)


cdef class KnownStatements:
    cdef Steps steps
    cdef dict iterates
    cdef object fetch_modes
    cdef tuple signals
    cdef list heard
    cdef dict compilers
    cdef object running_loop, connections, holds, plan_for
    cdef tuple missed
    cdef public object verify
    cdef Databases databases
    cdef Routes routes
    cdef object announce
    cdef public Reader reader
    cdef object by_cursor
    cdef public object fetch
    cdef object in_turns
    cdef Py_ssize_t many
    cdef object of_querysets, of_one, ask_rows, forget

    cdef bint hears_the_same(self) except -1
    cdef bint is_as_learnt(self, Statement statement, bint asks) except -1
    cpdef object kind_of_rows(self, dict values)
    cdef StatementRun known(
        self, QuerysetCall call, dict values, Path path, kind, ask, bint asks=*
    )
    cdef list rows_on(self, QuerysetCall call, dict values, Path path)
    cdef list run(self, StatementRun known, QuerysetCall call, how)
    cdef Batch batch(self, StatementRun known, wrapper, how)
    cdef list built(self, StatementRun known, Batch batch)


cdef class Wait:
    cdef public bint _asyncio_future_blocking
    cdef object loop
    cdef object value  # the result, the error, or the message of a cancellation
    cdef object callback  # the first one: there is one in most
    cdef readonly object context  # of `callback`
    cdef list others
    cdef int state

    cdef int settle(self, int state, value) except -1
    cdef int wake(self) except -1
    cdef int schedule(self) except -1
    cdef list callbacks(self)
    cdef object no_result(self)


cdef class Bridge:
    cdef dict names
    cdef object resume, worker, getcurrent, get_running_loop, set_running_loop
    cdef object swap_current_task, greenlet_exit, finish
    cdef Py_ssize_t idle
    cdef readonly unsigned long long counted  # the thread whose steps are
    cdef readonly unsigned long long steps

    cpdef end_call(self, worker)
    cdef object show_loop(self, worker)
    cdef object hide_loop(self, worker)
    cdef bint in_call_context(self, worker) except -1
    cdef object waiting_worker(self)


cdef class Caller:
    cdef Bridge bridge
    cdef object current_task

    cdef object current(self)
    cdef bint waits_by(self, worker) except -1


cdef class DrivenSteps:
    cdef Bridge bridge
    cdef object current_task, hand_on, go_on, waiting_worker

    cpdef object take(self, worker, coroutine)


cdef class IdleConnections:
    cdef dict names
    cdef object logger, client

    cpdef bint is_quiet(self, pool) except -1


cdef class HiddenWrappers:
    cdef object new, build
    cdef tuple names
    cdef object watch_of
    cdef dict watches  # by class of wrappers
    cdef object entered_scope

    cpdef object connect(self, wrapper, replay, entry, session, gate)
    cdef bint keep(self, hidden) except -1


cdef class Routes:
    cdef Bridge bridge
    cdef HiddenWrappers hidden
    cdef object entered_block, wrapper_for, connections, created
    cdef dict forks
    cdef object wait, take

    cdef object wrapper(self, alias)
    cpdef object of_block(self, block, alias)
    cdef bint is_for(self, replay, settings) except -1
    cdef object pool(self, replay, loop, alias)
    cdef object built(self, block, alias)


cdef class Turns:
    cdef Bridge bridge
    cdef object entered_scope, outer_call

    cdef bint take_for(self, gate, worker, bint inside=*) except -1


cdef class Readable:
    cdef object channel, ready


cdef class RoundTrips:
    cdef Bridge bridge
    cdef Turns turns
    cdef object view
    cdef ClassWatch watch
    cdef dict names
    cdef long reads

    cdef object run(self, raw, gen)
    cdef object wait(self, raw, gen)
    cdef object future(self, channel, pgconn, gen, wants)


cdef class StraightReads:
    cdef KnownStatements statements
    cdef dict methods
    cdef object filter_by, limit

    cdef StatementRun known(self, QuerysetCall call, tuple what)
    cdef StraightRead read(self, StatementRun known, worker)


cdef class RoundTrip:
    cdef readonly object wait  # None where the operation has ended at once
    cdef public object error
    cdef object value  # what the operation has returned
    cdef object raw, channel, gen, wants
    cdef object before  # the status of the transaction in which it began

    cdef int begin(self, RoundTrips trips) except -1
    cdef object result(self, Bridge bridge)


cdef class StraightRead(RoundTrip):
    cdef KnownStatements statements
    cdef StatementRun known
    cdef QuerysetCall call
    cdef tuple what
    cdef object worker, wrapper, gate, decoders


cdef class ScopeRequests:
    cdef object kind
    cdef dict asgi
    cdef FunctionWatch functions, parsers
    cdef ClassWatch watch
    cdef tuple names, port
    cdef bint cookies_first
    cdef dict keys, template
    cdef inline_places places

    cdef bint add_headers(self, dict meta, object headers) except -1
    cdef object new_key(self, bytes name)
    cdef object text_of(self, object port)
    cdef dict meta_of(self, dict scope)
    cdef int set_parts(self, object instance, tuple parts) except -1
    cdef bint fill(self, object instance, object scope, object body_file) except -1


cdef class OwnNames:
    cdef tuple names
    cdef inline_places places


cdef class RegexText:
    cdef object regex
    cdef str before, after
    cdef bint is_text, dollar, whole, closed, ended

    cdef bint allows(self, str path) except -1


cdef class RegexTexts:
    cdef dict known

    cdef RegexText of(self, object regex)


cdef class Found:
    cdef object rest, args, captured, kwargs, func, url_name, route, extra, tried
    cdef list app_names, namespaces
    cdef object func_path, match  # that of somebody else, not taken yet
    cdef str text  # of the pattern; None where it has to be asked for it
    cdef bint plain  # whether the view cannot tell how often it is looked at

    cdef int take(self, object args, dict kwargs) except -1
    cdef int name_view(self) except -1


cdef class ResolverMatches:
    cdef OwnNames own
    cdef object kind

    cdef object made(self, Found found)


cdef class UrlMatching:
    cdef bint by_regex
    cdef object route, regex, route_regex, regex_regex, int_converter
    cdef tuple text_converters
    cdef OwnNames of_route, of_regex
    cdef RegexTexts texts

    cdef bint is_djangos(self) except -1
    cdef bint excludes(self, PyObject *pattern, str path) except -1
    cdef Found matched(self, object pattern, str path)
    cdef Found match_route(self, object pattern, str path)
    cdef Found match_converters(
        self, object pattern, str route, dict converters, str path
    )
    cdef object kind_of(self, object converter)
    cdef Found match_regex(self, object pattern, str path)


cdef class UrlPatterns:
    cdef ClassWatch watch
    cdef dict names
    cdef int depth  # of all threads: a little more than there is does no harm
    cdef object otherwise, resolve, pattern, resolver, not_found
    cdef ResolverMatches matches
    cdef UrlMatching matching
    cdef OwnNames of_pattern, of_resolver

    cdef bint are_djangos(self) except -1
    cdef bint is_usual(self, object resolver) except -1
    cdef Found enter(self, object resolver, str path)
    cdef Found inside(self, object resolver, Found mine, list tried)
    cdef Found ask(self, object resolver, Found mine, list tried)
    cdef Found resolved(self, object pattern, object path, list tried)
    cdef bint passes(self, object pattern, str path) except -1
    cdef Found leaf(self, object pattern, str path)
    cdef Found nested(self, object pattern, str path, list tried)
    cdef Found elsewhere(self, object pattern, object path, list tried)
    cdef int merge(
        self, object resolver, Found mine, object pattern, Found found
    ) except -1


cdef class LocalMethods:
    cdef object owner, kind, storage
    cdef ClassWatch watch
    cdef dict threading
    cdef dict said

    cdef object variable(self, object local, object name)
    cdef object lacking(self, object local, object name)
    cdef dict values(self, object variable)
    cdef int set_values(self, object variable, dict values) except -1


cdef class FunctionWatch:
    cdef tuple places, seen
    cdef object asked
    cdef bint answer
    cdef unsigned long long changes


cdef class TemplateMethods:
    cdef dict base, formats, numbers, translation, translations, untranslated
    cdef object variable, expression, node, base_context, context, request_context
    cdef object context_dict, safe, logger_class, debug, is_enabled, debugger
    cdef object text_node, node_list, loop
    cdef ClassWatch nodes
    cdef bint has_length
    cdef ClassWatch watch
    cdef FunctionWatch functions
    cdef LocalMethods methods

    cdef bint is_usual(self, object context) except -1
    cdef bint is_logged(self) except -1
    cdef object in_context(self, object context, object bit)
    cdef object kept(self, object context, object key)
    cdef bint is_just_missing(self, object context, object bit) except -1
    cdef object looked_up(self, object current, object context, tuple lookups)
    cdef object looked_into(self, object current, object bit)
    cdef bint is_just_its_own(self, object kind, object bit) except -1
    cdef object without_attribute(
        self, object current, object bit, object unraised
    )
    cdef object called(self, object current, object context)
    cdef object resolved(self, object expression, object context, bint ignore_failures)
    cdef object variable_value(self, object variable, object context)
    cdef object asked(self, object variable, object context)
    cdef object filtered(self, object value, object filters, object context)
    cdef object shown(self, object value, object context)
    cdef object escaped(self, str text)
    cdef bint has_no_separators(self) except -1
    cdef object language(self)
    cdef object rendered(
        self, object node, object context, unsigned long long since
    )
    cdef int add_texts(
        self, list texts, object nodes, object context, unsigned long long since
    ) except -1
    cdef object looped(
        self, object node, object context, object parent, unsigned long long since
    )
    cdef int unpack(
        self, object names, Py_ssize_t size, object item, object context
    ) except -1


cdef class UrlReversing:
    cdef ClassWatch watch
    cdef FunctionWatch functions
    cdef dict names, base, regexes
    cdef object otherwise, reverse, resolver, lookups
    cdef str delimiters
    cdef tuple converters
    cdef OwnNames of_resolver
    cdef TemplateMethods templates
    cdef bint unquoted[128]

    cdef bint are_djangos(self) except -1
    cdef str reversed(
        self, object view_name, list args, dict kwargs, object current_app
    )
    cdef object inside(self, object resolver, list spaces, object current_app)
    cdef object known(self, object resolver, int name)
    cdef str path(
        self, object resolver, object view, object prefix, tuple args, dict kwargs
    )
    cdef str first_of(self, list possibilities, str prefix, tuple args, dict kwargs)
    cdef dict texts(self, list params, tuple args, dict kwargs, dict converters)
    cdef bint is_own(self, object converter) except -1
    cdef object regex(self, str prefix, str pattern)
    cdef str quoted(self, str text)


cdef class UrlNodes:
    cdef ClassWatch watch
    cdef FunctionWatch functions
    cdef dict urls, tags
    cdef object node
    cdef TemplateMethods templates
    cdef UrlReversing reversing

    cdef object rendered(self, object node, object context)
    cdef object resolved(self, object expression, object context)


cdef class HeaderMethods:
    cdef object of_request, of_response
    cdef ClassWatch watch
    cdef dict titles

    cdef dict store(self, headers)
    cdef object found(self, headers, key)
    cdef object new(self)
    cdef bint set(self, headers, key, value) except -1
    cdef object title(self, str name)


cdef class JSONTexts:
    cdef object kind, dumps, make, escape
    cdef ClassWatch watch
    cdef dict names, encoder_names
    cdef object spare  # a C encoder that is in no call

    cdef object text(self, data)


cdef class ResponseMethods:
    cdef HeaderMethods headers
    cdef JSONTexts texts
    cdef object base, kind, json, json_module
    cdef dict names
    cdef object reason_phrase, make_bytes, items, header_class, pattern
    cdef dict charsets

    cdef bint begin(self, response, tuple args, dict kwargs) except -1
    cdef object charset_in(self, content_type)

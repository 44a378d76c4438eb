"""One statement without its values: constant text with holes, and its rows' plan.

In: a queryset's path. Out: text and parameters. Each hole is filled by Django's own
lookup; where nothing but its parameter can differ, by that alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from sys import intern
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import connections
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models.sql import compiler as django_compiler
from django.db.models.sql.compiler import SQLCompiler
from django.db.transaction import TransactionManagementError

from ... import _native
from ...drivers.psycopg.statement import template_of
from ...unpatched import unpatched_class
from .. import changes, streams
from ..plans import compiled_converters, plan_cache, row_plan
from . import authors, paths, verify
from .holes import classes_of, conditions, punch
from .keys import Missed, Refused
from .prepared_values import parameter_of

_LIMIT = BaseDatabaseOperations.limit_offset_sql
_TOKEN = re.compile("\0(\\d+)\0")

# (queryset, its query, alias) -> (compiler, SQL, parameters)
Ask = Callable[[Any, Any, str], tuple[Any, str, Any]]


def new(holes: tuple[Any, ...], parts: list[Any]) -> Any:
    """Return a statement: each of `parts` is (text, constants), or a hole's number."""
    return _native.rows.Statement(holes, parts, template_of)


def fill(entry: Any, path: Any, alias: str, arrays: Any = None) -> Any:
    """Return SQL, parameters and the template for these values. Raises Missed.

    Very many values go to `arrays`, if it is given.
    """
    try:
        found = entry.fill(path, connections, alias, arrays)
    except (EmptyResultSet, FullResultSet):
        raise Missed from None
    if found is None:
        raise Missed
    return found


def holds(entry: Any) -> bool:
    """Tell whether Django would compile and build such rows as it did."""
    if streams.why_not_kind(entry.kind):
        return False
    if entry.converters is not None and not entry.converters.holds():
        return False
    return all(row_plan.why_from_db(model) == why for model, why in entry.models)


def plan_for(entry: Any, call: Any, alias: str) -> Any:
    """Return a plan for the rows of one run, the types, and what it is lent.

    None of those that wait in `entry.lent` is for such related objects.
    """
    plan, types = entry.made
    queryset = call.queryset
    known = queryset._known_related_objects
    if plan is not None and not known:
        return plan, types, None
    if plan is None:
        compiler = compiler_of(entry, call, alias)
        asked = _Asked(queryset, compiler.query, known)
        plan, _ = plan_cache.make(entry.make_plan, asked, compiler)
        return plan, types, None
    compiler = compiler_of(entry, call, alias)
    places: dict[Any, Any] = {field: {**known[field]} for field in known}
    asked = _Asked(queryset, compiler.query, places)
    plan, _ = plan_cache.make(entry.make_plan, asked, compiler, keeps=True)
    return plan, types, (plan, places)


def compiler_of(entry: Any, call: Any, alias: str) -> Any:
    """Return the compiler of a call's statement, made again if it is not kept."""
    if entry.compiler is not None:
        return entry.compiler_for(connections[alias])
    query = punch(paths.replay(call.queryset, call.path), call.path.node.slots)
    compiler = query.get_compiler(alias)
    compiler.as_sql()
    return compiler


class _Asked:
    """What a plan asks of a queryset."""

    def __init__(self, queryset: Any, query: Any, known: dict[Any, Any]) -> None:
        self.model = queryset.model
        self.query = query
        self._fields = queryset._fields
        self._known_related_objects = known
        if hasattr(queryset, "_fetch_mode"):
            self._fetch_mode = queryset._fetch_mode


def learn(queryset: Any, path: Any, ask: Ask, make_plan: Any, alias: str) -> Any:
    """Return the statement of a queryset. Raises Refused, and Missed."""
    wrapper = connections[alias]
    if type(wrapper.ops).limit_offset_sql is not _LIMIT:
        raise Refused(f"the backend of '{alias}' has a LIMIT of its own")
    query = path.query or paths.replay(queryset, path)
    try:
        _, sql, params = ask(queryset, query, alias)
        punched = punch(query, path.node.slots)
        with authors.compiled_nodes(wrapper) as nodes:
            compiler, text, constants = ask(queryset, punched, alias)
    except (EmptyResultSet, FullResultSet, TransactionManagementError):
        raise Missed from None
    if reason := streams.why_not(compiler):
        raise Refused(reason)
    if getattr(compiler, "qualify", None) or not compiler.select:
        raise Refused("its rows are computed by window functions or in a subquery")
    authors.check(compiler, nodes)
    no_limit = wrapper.ops.no_limit_value()
    text, tail = _around_limit(text, path, no_limit)
    entry = new(path.node.holes, list(parts(text, list(constants))))
    entry.tail = tail
    numbers = [part for part in entry.parts if type(part) is int]
    if sorted(numbers) != list(range(len(entry.holes))):
        raise Refused("a condition is not once in its SQL")
    entry.no_limit = no_limit
    entry.compiler, entry.kind = compiler, type(compiler)
    entry.locks = compiler.query.select_for_update
    entry.columns = compiler.col_count
    # Where an expression stands twice, two values beside the text are not one.
    entry.binds = not constants or not any(
        clause in text for clause in ("GROUP BY", "ORDER BY", "DISTINCT")
    )
    entry.make_plan = make_plan
    entry.instances = make_plan is row_plan.models
    entry.calls_project = row_plan.calls_project(compiler)
    try:
        _plan(entry, queryset, make_plan)
    except row_plan.Declined as declined:
        raise Refused(str(declined)) from None
    compiler.connection = None
    simplify(entry, path, wrapper, nodes)
    filled, given, _ = fill(entry, path, alias)
    if filled != sql or not verify.are_same(given, params):
        raise Refused("its SQL is not made of its conditions' alone")
    if entry.made[0] is not None and None not in entry.simple:
        entry.compiler = None  # the most of an entry's memory
    return entry


def _around_limit(text: str, path: Any, no_limit: Any) -> tuple[str, str]:
    if path.limits is None:
        return text, ""
    found: Any = _native.rows.around_limit(text, path.limits, no_limit)
    if found is None or "%" in found[1]:
        raise Refused("its limit is not in its SQL, or a value comes after it")
    return found


def parts(text: str, params: list[Any]) -> Iterator[Any]:
    for i, part in enumerate(_TOKEN.split(text)):
        if i % 2:
            yield int(part)
            continue
        count = part.replace("%%", "").count("%s")
        found = tuple(params[:count])
        del params[:count]
        if not all(isinstance(each, int) for each in found):
            raise Refused("a value is in its SQL, besides its conditions'")
        if part:
            # What a model's statements begin with is kept once.
            yield intern(part), found


def _plan(entry: Any, queryset: Any, make_plan: Any) -> None:
    compiler = entry.compiler
    asked = _Asked(queryset, compiler.query, {})
    keeps = not plan_cache.needs_connection(compiler)
    plan, types = plan_cache.plan_for(make_plan, asked, compiler, keeps)
    fetch_mode = getattr(queryset, "_fetch_mode", None)
    if fetch_mode is not None and fetch_mode.track_peers:
        keeps = False
    entry.made = plan if keeps else None, types
    entry.converters = compiled_converters.of_compiler(compiler) if keeps else None
    models = row_plan.models_of(compiler.klass_info)
    entry.models = changes.shared(
        tuple([(each, row_plan.why_from_db(each)) for each in models])
    )
    entry.orderings = tuple(_orderings(compiler.query))
    if not any(row_plan.has_listeners(model) for model, _ in entry.models):
        # Then `holds()` is known from these, asked by the core.
        watches = [
            unpatched_class(type(compiler), SQLCompiler, streams.NOT_CALLED).watch,
            row_plan.unpatched.watch,
        ]
        if entry.converters is not None:
            watches.append(entry.converters.watch)
        entry.watches = changes.shared(tuple(watches))
        entry.cursor_iter = vars(django_compiler)["cursor_iter"]


def _orderings(query: Any) -> Iterator[tuple[list[Any], tuple[Any, ...]]]:
    """Yield the lists of models that may order a query, each with what is in it."""
    joins = [getattr(each, "join_field", None) for each in query.alias_map.values()]
    sides = [(each.model, each.related_model) for each in joins if each]
    for model in dict.fromkeys((query.model, *chain.from_iterable(sides))):
        ordering = getattr(getattr(model, "_meta", None), "ordering", None)
        if type(ordering) is list:
            yield ordering, tuple(ordering)


def simplify(entry: Any, path: Any, wrapper: Any, nodes: Iterable[Any]) -> None:
    """Note how conditions are filled in, by text, in which only a parameter differs.

    `nodes` are what was compiled.
    """
    compiler = entry.compiler_for(wrapper)
    found = [
        _simple(hole, value, compiler)
        for hole, value in zip(entry.holes, path.values, strict=True)
    ]
    entry.simple = tuple([text for text, _ in found])
    entry.prepared = tuple([prepared for _, prepared in found])
    where = [*conditions(compiler.query.where)]
    columns = [each for each, _, _ in compiler.select or ()]
    columns += [each.lhs for each in where]
    kinds = (
        *changes.watches(map(type, where), changes.OF_CONDITION),
        *changes.watches(classes_of(columns), changes.OF_COLUMN),
        *[watch for model, _ in entry.models for watch in row_plan.watches(model)],
        *changes.watches(authors.kinds(nodes, compiler.query), changes.OF_NODE),
        # Of all their methods: the rest of the text is made by them.
        *changes.watches((type(wrapper.ops), type(wrapper.features)), ()),
    )
    entry.kinds = changes.shared(kinds)


def _simple(hole: Any, value: Any, compiler: Any) -> tuple[str | None, Any]:
    """Return the text of a condition, and how its values become parameters."""
    wrapper = compiler.connection
    if not hole.simple or hasattr(hole.kind, f"as_{wrapper.vendor}"):
        return None, None
    lookup = value if type(value) is hole.kind else hole.lookup(value)
    prepared = hole.prepared
    if wrapper.vendor != hole.vendor:
        given = lookup.rhs if type(value) is hole.kind else value
        prepared = parameter_of(lookup, given, wrapper)
    return _text(lookup, prepared, compiler), prepared


def _text(lookup: Any, prepared: Any, compiler: Any) -> str | None:
    places = "%s"
    try:
        if prepared is not None and prepared.many:
            if compiler.connection.ops.max_in_list_size():
                return None  # Django makes several of a list
            places, params = lookup.process_rhs(None, compiler.connection)
            if places != f"({', '.join(['%s'] * len(params))})":
                return None
        elif lookup.process_rhs(None, compiler.connection)[0] != "%s":
            return None
        text, params = compiler.compile(lookup)
    except (EmptyResultSet, FullResultSet):
        return None
    if len(params) != places.count("%s"):
        return None  # the left side has some
    if places == "%s":
        return str(text)
    return str(text.removesuffix(places)) if text.endswith(places) else None

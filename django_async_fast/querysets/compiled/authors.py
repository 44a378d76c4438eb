"""Who writes the text of a statement: Django, or code of the project's.

What an expression, a field or a relation of the project's own writes may be another
text the next time: for another tenant, in another language. Django asks it each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models import F, ForeignObject
from django.db.models.functions.datetime import TimezoneMixin
from django.db.models.sql.datastructures import Join

from ...unpatched import (
    djangos_class,
    is_djangos,
    is_djangos_own,
    owner_of,
    unpatched_class,
)
from .. import changes
from . import compilers
from .keys import AGGREGATES, Refused

_OF_NAMED_METHODS = "get_col", "get_lookup", "get_transform"
# What a model's fields are asked for when a query names them, and selected ones for.
# Besides methods it is what each field has of its own.
OF_NAMED = (
    *_OF_NAMED_METHODS,
    *("attname", "cached_col", "column", "null", "target_field", "__getattribute__"),
)
_OF_SELECTED = "select_format", "get_db_converters"
_OF_JOIN = (
    *("get_joining_fields", "get_joining_columns", "get_path_info", "path_infos"),
    *("foreign_related_fields", "related_fields"),
)
_OF_NODE = (*changes.OF_NODE, "as_oracle", "get_db_converters")
# What compilers ask a backend for.
_OF_OPERATIONS = tuple(
    name
    for name, value in vars(BaseDatabaseOperations).items()
    if callable(value) and not name.startswith("__") and name != "compiler"
)


@contextmanager
def compiled_nodes(wrapper: Any) -> Iterator[list[Any]]:
    """Collect all that compilers of a connection compile meanwhile."""
    nodes: list[Any] = []
    found: list[Any] = []

    def note(compiler: Any) -> None:
        djangos = compiler.compile

        def compile_and_note(node: Any) -> Any:
            nodes.append(node)
            return djangos(node)

        compiler.compile = compile_and_note
        found.append(compiler)

    try:
        with compilers.changed(wrapper, note):
            yield nodes
    finally:
        for each in found:
            del each.compile


def kinds(nodes: Iterable[Any], query: Any) -> Iterator[type[Any]]:
    """Yield the classes of what was compiled, and of what that may be made of."""
    for node in nodes:
        if not hasattr(node, "_daf_hole"):
            yield type(node)
    if query.annotations:
        # They may have made something else of themselves.
        yield from (*AGGREGATES, F)


def check(compiler: Any, nodes: Iterable[Any]) -> None:
    """Raise Refused if a statement's text is not Django's alone.

    `nodes` are what was compiled; in the place of conditions there are tokens.
    """
    _check_backend(compiler)
    models = {compiler.query.model}
    for node in nodes:
        if isinstance(node, TimezoneMixin):
            # MySQL's text names no zone where the current one is the connection's.
            raise Refused(f"a {type(node).__name__} depends on the current time zone")
        if isinstance(node, Join):
            models |= _joined(node.join_field)
    for kind in kinds(nodes, compiler.query):
        if not (is_djangos(kind) and unpatched_class(kind, kind, _OF_NODE).holds()):
            raise Refused(f"a {kind.__name__} may write another text each time")
    for model in models:
        check_model(model)
    check_selected(each._output_field_or_none for each, _, _ in compiler.select or ())


def check_model(model: Any) -> None:
    """Raise Refused if fields of a model may be named or cast otherwise each time."""
    fields = model._meta.concrete_fields
    _check_fields({*map(type, fields)}, OF_NAMED)
    methods = {*_OF_NAMED_METHODS, *_OF_SELECTED, "get_internal_type"}
    for field in fields:
        if not methods.isdisjoint(vars(field)):
            raise Refused(f"{field.name} has methods of its own")
        code = getattr(field.get_internal_type, "__code__", None)
        # Many say their column's type; what asks nobody says the same each time.
        if code is None or code.co_names or code.co_freevars:
            _check_fields([type(field)], ["get_internal_type"])


def check_selected(fields: Iterable[Any]) -> None:
    """Raise Refused if fields may be selected, or read, otherwise each time."""
    _check_fields({*map(type, fields)}, _OF_SELECTED)


def _check_backend(compiler: Any) -> None:
    if not is_djangos(type(compiler)):
        raise Refused(f"{type(compiler).__module__} has compilers of its own")
    operations = compiler.connection.ops
    kind: Any = type(operations)
    replaced = not vars(operations).keys().isdisjoint(_OF_OPERATIONS)
    djangos = unpatched_class(kind, djangos_class(kind), _OF_OPERATIONS)
    if replaced or not djangos.holds():
        raise Refused("what the backend's operations write is not Django's alone")


def _joined(relation: Any) -> set[Any]:
    field = getattr(relation, "field", relation)
    if owner_of(type(field), "get_extra_restriction") is not ForeignObject:
        # Not even Django's GenericRelation: a content type may have another key.
        raise Refused(f"a {type(field).__name__} joins on what it says each time")
    _check_fields([type(field)], _OF_JOIN)
    return {field.model, field.related_model}


def _check_fields(kinds: Iterable[type[Any]], names: Iterable[str]) -> None:
    for kind in kinds:
        for name in names:
            if not is_djangos_own(kind, name):
                raise Refused(f"{kind.__name__}.{name} is not Django's")

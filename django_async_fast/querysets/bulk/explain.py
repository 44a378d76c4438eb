"""`explain_writes(model)`: how `bulk_create()` and `bulk_update()` send values."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import connections, router
from django.db.models import AutoField, QuerySet, sql
from django.db.models.sql.compiler import SQLInsertCompiler

from ... import _native
from . import inserts, updates
from .columns import Column, is_read


@dataclass(frozen=True)
class WrittenColumn:
    """One column, and what becomes of its values."""

    name: str
    # As the field declares it.
    type: str
    # Why the field is asked for each value; '' if only for those of other classes.
    why_asked: str
    # Whether values of the type go as an array.
    encoded: bool

    def __str__(self) -> str:
        how = "an array" if self.encoded else "as psycopg writes it"
        notes = filter(None, (self.type, how, self.why_asked))
        return f"  {self.name}: {', '.join(notes)}"


@dataclass(frozen=True)
class WritesExplanation:
    """What `explain_writes()` found; `str()` of it is for people."""

    model: str
    columns: tuple[WrittenColumn, ...]
    # Why Django's own statements are sent; '' where arrays are.
    why_django_creates: str
    why_django_updates: str

    def __str__(self) -> str:
        ways = {
            "bulk_create()": self.why_django_creates,
            "bulk_update()": self.why_django_updates,
        }
        lines = [
            f"{name}: by Django, because {why}" if why else f"{name}: by arrays"
            for name, why in ways.items()
        ]
        return "\n".join([f"{self.model}:", *lines, *map(str, self.columns)])


def explain_writes(model: Any, using: str | None = None) -> WritesExplanation:
    """Return how many objects of `model` would be written. Runs no query."""
    alias = using or router.db_for_write(model)
    wrapper = connections[alias]
    fields = [
        each
        for each in model._meta.concrete_fields
        if not each.generated and not isinstance(each, AutoField)
    ]
    why = _why_never(wrapper)
    return WritesExplanation(
        model=model.__name__,
        columns=() if why else tuple(_column(each, wrapper) for each in fields),
        why_django_creates=why or _why_not_created(model, alias, fields, wrapper),
        why_django_updates=why or _why_not_updated(model, alias, fields),
    )


def _why_never(wrapper: Any) -> str:
    if not _native.COMPILED:
        return f"the compiled core is not in use ({_native.REASON})"
    if wrapper.vendor != "postgresql":
        return f"the database {wrapper.alias} is not PostgreSQL"
    if wrapper.queries_logged or wrapper.execute_wrappers:
        return "somebody looks at the statements of this connection"
    return ""


def _column(field: Any, wrapper: Any) -> WrittenColumn:
    column = Column(field, wrapper)
    why = ""
    if not is_read(field):
        why = "pre_save() is called for each object"
    elif not column.is_plain():
        why = "its field prepares each value"
    return WrittenColumn(field.name, field.db_type(wrapper), why, column.is_encoded)


def _why_not_created(model: Any, alias: str, fields: list[Any], wrapper: Any) -> str:
    if SQLInsertCompiler.execute_sql is not inserts.execute_sql:
        return "SQLInsertCompiler.execute_sql() has been replaced"
    if any(
        each._meta.concrete_model is not model._meta.concrete_model
        for each in model._meta.all_parents
    ):
        return "it has more than one table"
    if others := [each.name for each in fields if not _is_unnested(each, wrapper)]:
        return f"it writes VALUES of {', '.join(others)}"
    query = sql.InsertQuery(model)
    query.insert_values(fields, [])
    found = None
    with suppress(Exception):
        found = inserts.compiled(query.get_compiler(alias), [], (), ())
    return "" if found and found.holds(wrapper) else "its compiler is not Django's own"


def _is_unnested(field: Any, wrapper: Any) -> bool:
    """Tell whether Django's UNNEST takes a field."""
    target = field.target_field if field.is_relation else field
    return target.get_internal_type() in wrapper.data_types and not (
        hasattr(field, "get_placeholder") or hasattr(field, "get_placeholder_sql")
    )


def _why_not_updated(model: Any, alias: str, fields: list[Any]) -> str:
    if QuerySet.bulk_update is not updates.bulk_update:
        return "QuerySet.bulk_update() has been replaced"
    pk = model._meta.pk
    rest = [each for each in fields if each not in model._meta.pk_fields]
    own = model._meta.concrete_model._meta.local_concrete_fields
    if pk not in own or not updates.is_key(pk, connections[alias]):
        return "its primary key is not one integer or UUID"
    others = [
        each.name
        for each in rest
        if each not in own
        or updates.known(model, alias, [each]) is None
        or not Column(each, connections[alias]).saves_expressions(connections[alias])
    ]
    return f"it writes CASE of {', '.join(others)}" if others else ""

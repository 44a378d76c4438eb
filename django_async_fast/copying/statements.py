"""The text of a COPY: out of a queryset, or into a table."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from django.core.exceptions import EmptyResultSet
from django.db import NotSupportedError
from django.db.models.expressions import ColPairs

from ..drivers.psycopg.statement import merged
from ..querysets.plans import row_plan

Format = Literal["csv", "text", "binary"]
FORMATS = ("csv", "text", "binary")

# What a client reads as the text format's own characters.
_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def check(wrapper: Any, format: str, instead: str) -> None:
    """Raise where a connection has no COPY, or not in this format."""
    if format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}, not {format!r}")
    if wrapper.vendor != "postgresql":
        raise NotSupportedError(
            f"COPY is PostgreSQL's, and '{wrapper.alias}' is {wrapper.display_name}: "
            f"use {instead}."
        )


def options(format: str, **more: str) -> str:
    """Return the options of a COPY; a file is in UTF-8, whatever the session is."""
    found = {"FORMAT": format, "ENCODING": "'UTF8'", **more}
    return f"({', '.join(f'{name} {value}' for name, value in found.items())})"


def out_of(compiler: Any, raw: Any, format: str) -> str:
    """Return the COPY of a query's rows, its values merged as psycopg does."""
    try:
        sql, params = compiler.as_sql()
    except EmptyResultSet:
        sql, params = "SELECT WHERE false", ()
    query = merged(raw, sql, params).decode(raw.info.encoding)
    return f"COPY ({query}) TO STDOUT {options(format)}"


def into_rows(wrapper: Any, model: Any, fields: Sequence[Any], binary: bool) -> str:
    """Return the COPY of rows into columns; text is in the session's encoding."""
    how = "(FORMAT binary)" if binary else "(FORMAT text)"
    return f"{_into(wrapper, model, fields)} {how}"


def into_file(wrapper: Any, model: Any, fields: Sequence[Any], format: str) -> str:
    """Return the COPY of a file into columns."""
    more = {}
    # Other programs write an empty text as nothing, which is NULL.
    texts = [each for each in fields if each.empty_strings_allowed and not each.null]
    if format == "csv" and texts:
        more["FORCE_NOT_NULL"] = f"({_names(wrapper, texts)})"
    return f"{_into(wrapper, model, fields)} {options(format, **more)}"


def _into(wrapper: Any, model: Any, fields: Sequence[Any]) -> str:
    table = wrapper.ops.quote_name(model._meta.db_table)
    return f"COPY {table} ({_names(wrapper, fields)}) FROM STDIN"


def _names(wrapper: Any, fields: Sequence[Any]) -> str:
    return ", ".join(wrapper.ops.quote_name(field.column) for field in fields)


def header(names: Iterable[str], format: str) -> bytes:
    """Return the first line of a file."""
    if format == "csv":
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(names)
        return line.getvalue().encode()
    return ("\t".join(name.translate(_ESCAPED) for name in names) + "\n").encode()


def names(queryset: Any, compiler: Any) -> list[str]:
    """Return the names of a compiled query's columns: those of values(), or fields."""
    if queryset._fields is not None:
        given = row_plan.names_of_values(compiler.query)
        return [
            name
            for given_name, (expression, *_) in zip(given, compiler.select, strict=True)
            for name in _columns_of(given_name, expression)
        ]
    found = [*compiler.query.extra_select] + [""] * len(compiler.select)
    for name, position in (compiler.annotation_col_map or {}).items():
        found[position] = name
    for position, name in _of_instances(compiler.select, compiler.klass_info, ""):
        found[position] = name
    return found[: len(compiler.select)]


def _columns_of(name: str, expression: Any) -> Iterator[str]:
    if isinstance(expression, ColPairs):  # a composite primary key
        yield from (f"{name}__{target.attname}" for target in expression.targets)
    else:
        yield name


def _of_instances(
    select: Any, klass_info: dict[str, Any], path: str
) -> Iterator[tuple[int, str]]:
    for position in klass_info["select_fields"]:
        yield position, path + select[position][0].target.attname
    for related in klass_info.get("related_klass_infos", ()):
        field = related["field"]
        name = field.related_query_name() if related["reverse"] else field.name
        yield from _of_instances(select, related, f"{path}{name}__")

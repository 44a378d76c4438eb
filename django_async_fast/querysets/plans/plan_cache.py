"""The plan of a compiled query, made once for every query of plain instances.

Key: the model, the alias, the fetch mode and the columns. When there are too many
choices of columns (a request may name them), all begin anew. Forgotten when a setting,
a model or a field changes; a miss costs as much as a row or two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.core.signals import setting_changed
from django.db import connections
from django.dispatch import receiver

from ... import _native
from ...unpatched import is_djangos_own
from .. import changes
from . import compiled_converters, row_plan
from .result_format import Types, types_of
from .row_plan import Declined, models, plain_key, selected

# Plans of plain instances, by what decides about them: a query by key spends as
# long on its plan as on its row.
_plain: dict[Any, tuple[tuple[Any, Types], tuple[Any, ...]]] = {}
changes.forgets.append(_plain.clear)
_MOST = 1024


@cache
def _has_djangos_converters(kind: Any) -> bool:
    """Tell whether a class of fields has none of its own, which may come later."""
    return is_djangos_own(kind, "get_db_converters")


# Whoever keeps a plan for it watches the class, too.
changes.forgets.append(_has_djangos_converters.cache_clear)


@receiver(setting_changed)  # type: ignore[untyped-decorator]
def _forget(**signal: Any) -> None:
    """Forget all plans: a backend has other converters with USE_TZ, say."""
    _plain.clear()


def plan_for(
    make_plan: Any, queryset: Any, compiler: Any, keeps: bool = False
) -> tuple[Any, Types]:
    """Return a compiled query's plan, and the types of its columns.

    Raises Declined. The plan of plain instances is made once and kept. One that is
    kept by the caller has no connection: see `needs_connection()`.
    """
    key = plain_key(queryset, compiler) if make_plan is models else None
    known = _plain.get(key)
    if known is not None and _native.rows.all_hold(known[1]):
        return known[0]
    return make(make_plan, queryset, compiler, keeps, key)


def why_not(make_plan: Any, queryset: Any) -> str:
    """Return why a query has no plan, as far as is known before it is compiled, or ''.

    Its rows can be wider than its own SELECT: union() of values().
    """
    if queryset.query.combinator and make_plan is not models:
        return "a combined query's columns are known when it has run"
    return ""


def needs_connection(compiler: Any) -> bool:
    """Tell whether the plan of a compiled query needs the run's own connection."""
    found = compiler.get_converters(selected(compiler))
    converters = compiled_converters.compiled(compiler, found)
    return any(
        compiled_converters.need_connection(compiler, functions)
        for _, functions, _ in converters
    )


def make(
    make_plan: Any, queryset: Any, compiler: Any, keeps: bool = False, key: Any = None
) -> tuple[Any, Types]:
    """Return what `plan_for()` does, made anew; by `key` others have it, too."""
    fields = selected(compiler)
    if reason := why_not(make_plan, queryset):
        raise Declined(reason)
    options = common(compiler, fields)
    if keeps:
        options["connection"] = None
    plan = make_plan(queryset, compiler, options)
    made = plan, types_of(compiler)
    if key is not None and not options["converters"]:
        kinds: set[Any] = {type(each.target) for each in fields}
        others = [kind for kind in kinds if not _has_djangos_converters(kind)]
        if not others:
            watched = changes.watches(kinds, changes.OF_COLUMN)
            if len(_plain) >= _MOST:
                _plain.clear()
            _plain[key] = made, watched + row_plan.watches(key[0])
    return made


def common(compiler: Any, fields: list[Any]) -> dict[str, Any]:
    """Return what every plan is told of the columns, which select `fields`.

    Raises Declined.
    """
    if compiler.has_composite_fields(fields):
        raise Declined("a composite primary key is selected as a tuple")
    connection = compiler.connection
    converters = compiler.get_converters(fields)
    return {
        "width": len(fields),
        "converters": list(compiled_converters.compiled(compiler, converters)),
        # For the converters; a plan that is kept must not keep it.
        "connection": connection if converters else None,
        "translate_error": translator(connection.alias),
    }


def of_tuples(alias: str, width: int) -> Any:
    """Return the plan of what a write on `alias` returns, as the driver has it."""
    translate = translator(alias)
    return _native.rows.TuplePlan(width=width, translate_error=translate)


@cache
def translator(alias: str) -> Callable[[BaseException], BaseException]:
    """Return what makes Django's errors of psycopg's, on the connection `alias`."""

    # By alias, because the plan may be kept.
    def translate(exc: BaseException) -> BaseException:
        try:
            with connections[alias].wrap_database_errors:
                raise exc
        except BaseException as translated:
            return translated

    return translate

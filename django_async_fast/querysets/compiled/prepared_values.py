"""What Django makes of plain values in conditions, without asking it each time.

Its own fields and lookups look at an int, a str or a UUID in half a dozen places, and
hand it on as it is or wrapped for psycopg. What they made of the first value is what
they would make of the next.
"""

import datetime as dt
import inspect
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import models
from django.db.models import lookups
from django.db.models.fields import related_lookups
from django.db.models.query_utils import DeferredAttribute

from ... import _native
from ...unpatched import Unpatched, djangos_class
from ..plain_fields import KEYS, kind_of
from . import arrays

# The classes of values of which it is known what becomes of them.
KINDS = frozenset({int, str, UUID, dt.date, dt.datetime, float})

# What is not called here, of a field, a lookup and the backend.
OF_FIELD = "get_prep_value", "get_db_prep_value", "get_internal_type", "to_python"
_OF_LOOKUP = (
    *("__init__", "get_prep_lookup", "get_db_prep_lookup", "process_rhs"),
    *("get_prep_lhs", "batch_process_rhs", "resolve_expression_parameter"),
    *("rhs_is_direct_value", "is_simple_lookup"),
)
OF_OPS = (
    *("adapt_integerfield_value", "integer_field_range", "validate_autopk_value"),
    *("adapt_datefield_value", "adapt_datetimefield_value"),
    *("prep_for_like_query", "prep_for_iexact_query"),
)

# Their right side is the value alone.
_ONE = frozenset({"exact", "gt", "gte", "lt", "lte"})
_MANY = lookups.In, related_lookups.RelatedIn
_LIKE = (
    *(lookups.Contains, lookups.IContains, lookups.StartsWith, lookups.IStartsWith),
    *(lookups.EndsWith, lookups.IEndsWith),
)


def parameter_of(lookup: Any, value: Any, wrapper: Any) -> Any:
    """Return how such values become parameters of `lookup`, None for Django's way."""
    kind = type(lookup)
    field = lookup.lhs.target
    if lookup.lhs.output_field is not field:
        return None
    if kind not in _MANY:
        values = [value]
    elif type(value) in (list, tuple, set, frozenset):
        values = list(dict.fromkeys(value))
    else:
        return None
    try:
        sql, params = lookup.process_rhs(None, wrapper)
    except (EmptyResultSet, FullResultSet):
        return None
    if len(params) != len(values) or len({*map(type, values)}) != 1:
        return None
    if kind in _LIKE:
        pattern = lookup.param_pattern
        made = _parameter((field,), lookup, wrapper, str, pattern=pattern)
        return made if made and made.param(value) == params[0] else None
    if kind not in _MANY and (lookup.lookup_name not in _ONE or sql != "%s"):
        return None
    target = field.target_field if type(field) in KEYS else field
    attname = None
    if isinstance(value, models.Model) or isinstance(values[0], models.Model):
        attname = _attname(type(values[0]), target)
        if attname is None or field is target:
            return None
        values = [vars(each).get(attname) for each in values]
    fields = (field,) if field is target else (field, target)
    return like(fields, lookup, values, params, wrapper, attname, kind in _MANY)


def _attname(model: Any, target: Any) -> str | None:
    """Return where an instance has the value of `target`, its own key; or None."""
    if not issubclass(model, models.Model) or model._meta.pk is not target:
        return None
    name: str = target.attname
    if model.__getattribute__ is not object.__getattribute__:
        return None
    descriptor = inspect.getattr_static(model, name, None)
    return name if type(descriptor) is DeferredAttribute else None


def like(
    fields: tuple[Any, ...],
    lookup: Any,
    values: list[Any],
    params: Any,
    wrapper: Any,
    attname: str | None = None,
    many: bool = False,
) -> Any:
    """Return how `values` became `params`, None where Django is to be asked.

    The last of `fields` is the one that has the values, `lookup` one of its lookups.
    """
    kind, param = type(values[0]), params[0]
    field = fields[-1]
    if kind not in KINDS or kind_of(field) is not kind:
        return None
    for made, value in zip(params, values, strict=True):
        if type(value) is not kind or type(made) is not type(param):
            return None
        if not isinstance(made, kind) or made != value:
            return None
    low = high = None
    if kind is int:
        low, high = wrapper.ops.integer_field_range(field.get_internal_type())
    return _parameter(
        *(fields, lookup, wrapper, kind),
        wrap=None if type(param) is kind else type(param),
        # Beyond these Django finds nothing without asking the database.
        low=low,
        high=high,
        attname=attname,
        many=many,
        array=arrays.of(fields[0], kind, wrapper) if many else None,
    )


def _parameter(
    fields: tuple[Any, ...], lookup: Any, wrapper: Any, kind: Any, **options: Any
) -> Any:
    if any(not vars(each).keys().isdisjoint(OF_FIELD) for each in fields):
        return None
    of = lookup if isinstance(lookup, type) else type(lookup)
    unpatched = Unpatched(
        *[(type(each), type(each), OF_FIELD) for each in fields],
        (of, of, _OF_LOOKUP),
        (type(wrapper.ops), djangos_class(type(wrapper.ops)), OF_OPS),
    )
    return _native.rows.Parameter(unpatched.watch, kind, **options)

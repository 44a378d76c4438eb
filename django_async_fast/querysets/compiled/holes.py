"""A condition whose value is another each time: what is left of it without one."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models.expressions import Col
from django.db.models.fields.related_lookups import RelatedExact, RelatedIn
from django.db.models.lookups import BuiltinLookup, Exact, In, IsNull, Lookup
from django.db.models.sql.where import WhereNode

from ... import _native
from ...unpatched import is_djangos, is_djangos_own, unpatched_class
from .. import changes
from .authors import OF_NAMED
from .keys import Items, Refused
from .prepared_values import parameter_of


def lookup_of(field: Any, name: str) -> Any:
    """Return `field.get_lookup(name)`, which imports something each time."""
    if "instance_lookups" in vars(field):
        return field.get_lookup(name)
    return field.get_class_lookups().get(name)


_PLAIN_SQL = (
    *(BuiltinLookup.as_sql, Exact.as_sql, In.as_sql),
    *(RelatedExact.as_sql, RelatedIn.as_sql),  # of one column
)


def _is_simple(kind: Any) -> bool:
    return (
        kind.__module__.startswith("django.db.models.")
        and kind.as_sql in _PLAIN_SQL
        and unpatched_class(kind, kind, changes.OF_CONDITION).holds()
    )


def leaves(where: Any) -> list[Any]:
    """Return the lookups of a WHERE in its order, but for IS NULL. Raises Refused."""
    return [leaf for leaf in conditions(where) if not isinstance(leaf, IsNull)]


def conditions(where: Any) -> Iterator[Any]:
    """Yield the lookups of a WHERE in its order. Raises Refused."""
    for child in where.children:
        if type(child) is WhereNode:
            yield from conditions(child)
        elif isinstance(child, Lookup):
            yield child
        else:
            raise Refused(f"a condition is a {type(child).__name__}")


def added_lookups(
    before: Any, after: Any, items: Items, wrapper: Any
) -> Iterator[tuple[Any, Any]]:
    """Yield each lookup that a step has added, after its hole, None for a constant.

    `before` and `after` are the WHERE without and with it. Raises Refused.
    """
    old, new = leaves(before), leaves(after)
    found = new[len(old) :]
    if len(new) < len(old) or any(a is not b for a, b in zip(old, new, strict=False)):
        raise Refused("what was there before has changed")
    values = [value for name, value in items if not is_null(name, value)]
    if len(values) != len(found):
        raise Refused("a value has not become one condition")
    for value, lookup in zip(values, found, strict=True):
        yield _hole(value, lookup, wrapper), lookup


def is_null(name: str, value: Any) -> bool:
    """Tell whether a value makes IS NULL of its condition, which has no hole."""
    return value is None or (type(value) is bool and name.endswith("isnull"))


def _hole(value: Any, lookup: Any, wrapper: Any) -> Any:
    if type(value) is bool:
        if type(lookup.rhs) is not bool:
            raise Refused("a bool has become something else")
        return None
    kind = type(lookup)
    if not is_written_by_django(lookup.lhs):
        raise Refused("a transform or a column of the project's may be another")
    if lookup.bilateral_transforms:
        raise Refused("a transform is of both sides")
    if not _is_of_columns(lookup.lhs):
        raise Refused("a value is in a subquery")
    hole = _native.rows.Hole(kind, lookup.lhs, False, None, wrapper.vendor)
    # Of one of Django's it is known, and its field is asked once for each value.
    again = lookup if is_djangos(kind) else kind(lookup.lhs, value)
    if hole.known(again) is None:
        raise Refused("a condition is not of a parameter, or of a None among them")
    if type(again.rhs) is not type(lookup.rhs) or repr(again.rhs) != repr(lookup.rhs):
        raise Refused("a condition is not made of its value alone")
    # Whether only the parameter differs while the right side is one `%s`.
    simple = type(lookup.lhs) is Col and _is_simple(kind)
    prepared = parameter_of(lookup, value, wrapper) if simple else None
    watches = changes.watches(classes_of([lookup.lhs]), changes.OF_COLUMN)
    made = kind, lookup.lhs, simple, prepared, wrapper.vendor, watches
    return _native.rows.Hole(*made)


def classes_of(expressions: Iterable[Any]) -> Iterator[type[Any]]:
    """Yield the classes of expressions, and of the fields that they are of or give."""
    for each in expressions:
        for part in each.flatten():
            yield type(part)
            field = getattr(part, "target", None) or part._output_field_or_none
            if field is not None:
                yield type(field)


def _is_of_columns(side: Any) -> bool:
    """Tell whether nothing but columns is compared, not what a subquery has found."""
    return not getattr(side, "subquery", False) and all(
        _is_of_columns(each) for each in side.get_source_expressions() if each
    )


def is_written_by_django(expression: Any) -> bool:
    """Tell whether an expression is Django's, of columns as Django's fields name them.

    Others may be another each time that the method is called.
    """
    if isinstance(expression, Col):
        kind = type(expression.target)
        return all(is_djangos_own(kind, name) for name in OF_NAMED)
    return is_djangos(type(expression)) and all(
        each is None or is_written_by_django(each)
        for each in expression.get_source_expressions()
    )


# ----- in a query


# What a compiler may ask a lookup for, by Django's names of databases.
_AS_SQL = (
    *("as_sql", "as_postgresql", "as_sqlite", "as_mysql", "as_oracle"),
    *("as_mariadb",),
)
_punched: dict[type[Any], type[Any]] = {}


def punch(query: Any, slots: tuple[Any, ...]) -> Any:
    """Return a copy of `query` whose SQL has a token for each hole.

    `slots` has for each lookup its hole, or None. Raises Refused.
    """
    if len(leaves(query.where)) != len(slots):
        raise Refused("its conditions are not those of its steps")
    new = query.clone()
    new.where = _punch(query.where, iter(slots), iter(range(len(slots))))
    return new


def _punch(where: Any, slots: Iterator[Any], numbers: Iterator[int]) -> Any:
    new = copy.copy(where)
    new.children = []
    for child in where.children:
        if type(child) is WhereNode:
            new.children.append(_punch(child, slots, numbers))
        elif isinstance(child, IsNull) or next(slots) is None:
            new.children.append(child)
        else:
            new.children.append(_token(child, next(numbers)))
    return new


def _token(lookup: Any, number: int) -> Any:
    kind = type(lookup)
    punched = _punched.get(kind)
    if punched is None:

        def as_sql(self: Any, compiler: Any, connection: Any) -> Any:
            return f"\0{self._daf_hole}\0", []

        names = dict.fromkeys(_AS_SQL, as_sql)
        punched = _punched[kind] = type(kind.__name__, (kind,), names)
    new = copy.copy(lookup)
    new.__class__ = punched
    new.__dict__.pop("_constructor_args", None)
    new.rhs = None
    new._daf_hole = number
    return new

"""What of a call's arguments decides about the SQL, and what is only a value in it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from django.db.models import Avg, Count, Max, Min, Model, Q, Sum
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString

PLAIN = frozenset(
    {int, str, float, Decimal, date, datetime, time, timedelta, UUID, bytes}
)
_CONTAINERS = frozenset({list, tuple, set, frozenset})
_CONSTANTS = frozenset({bool, type(None)})
_AGGREGATES = frozenset({Avg, Count, Max, Min, Sum})

# (name, value) in the order in which Django builds their conditions.
Items = list[tuple[str, Any]]


class Refused(Exception):
    """This is Django's to do, every time; the message is the reason, for people."""


def of_conditions(
    kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, Items, bool]:
    """Return the key of `filter(*args, **kwargs)`, its items, whether they may change.

    Raises Refused.
    """
    if not args:
        types = tuple(map(type, kwargs.values()))
        if PLAIN.issuperset(types):
            items = list(kwargs.items())
            if len(items) > 1:
                items.sort(key=_name)
            return (kind, *kwargs, *types), items, False
    found: Items = []
    key = _of_q("AND", False, (*args, *sorted(kwargs.items(), key=_name)), found)
    return (kind, key), found, True


def _name(item: tuple[str, Any]) -> str:
    return item[0]


def _of_q(connector: str, negated: bool, children: Iterable[Any], found: Items) -> Any:
    key: list[Any] = [connector, negated]
    for child in children:
        if type(child) is Q:
            key.append(_of_q(child.connector, child.negated, child.children, found))
        elif type(child) is tuple and len(child) == 2 and type(child[0]) is str:
            key.append(child[0])
            key.append(_of_value(child[1]))
            found.append(child)
        else:
            raise Refused(f"a condition is a {type(child).__name__}")
    return tuple(key)


def _of_value(value: Any) -> Any:
    kind = type(value)
    if kind in PLAIN:
        return kind
    if kind in _CONSTANTS:
        return value
    if kind in _CONTAINERS:
        kinds = frozenset(map(type, value))
        if not kinds:
            raise Refused("a list of values is empty")
        for each in kinds:
            if not (each in PLAIN or each is bool or issubclass(each, Model)):
                raise Refused(f"a list of values has a {each.__name__}")
        return kind, kinds
    if issubclass(kind, Model) or kind is SafeString:
        return kind
    if issubclass(kind, (int, str)) and issubclass(kind, Enum):
        return kind
    if kind is SimpleLazyObject and isinstance(value, Model):
        return kind, value.__class__
    raise Refused(f"a value is a {kind.__name__}")


def of_names(kind: str, names: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return the key of a method that takes names. Raises Refused."""
    for name in names:
        if type(name) is not str or name == "?":
            raise Refused(f"{kind}() is given a {type(name).__name__}")
    if not options:
        return kind, names
    for option in options.values():
        if type(option) is not bool:
            raise Refused(f"{kind}() is given a {type(option).__name__}")
    return kind, names, tuple(options.items())


def of_nothing(kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the key of a method that is called without arguments. Raises Refused."""
    if args or kwargs:
        raise Refused(f"{kind}() is given names")
    return (kind,)


def of_aggregates(kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the key of `annotate()` by Django's aggregates of columns.

    Raises Refused.
    """
    found: list[Any] = [kind]
    for name, each in (*((None, each) for each in args), *kwargs.items()):
        if type(each) not in _AGGREGATES:
            raise Refused(f"{kind}() is given a {type(each).__name__}")
        sources, options = each._constructor_args
        if not all(type(source) is str for source in sources):
            raise Refused(f"{kind}() is given an expression of another")
        if not all(type(option) is bool for option in options.values()):
            raise Refused(f"{kind}() is given an aggregate with options")
        found.append((name, type(each), sources, tuple(options.items())))
    return tuple(found)


def kept(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments that stay as they are, whatever becomes of the caller's."""
    return (
        tuple([_kept_child(child) for child in args]),
        {name: _kept_value(value) for name, value in kwargs.items()},
    )


def _kept_child(child: Any) -> Any:
    if isinstance(child, Q):
        copy = child.copy()
        copy.children = [_kept_child(each) for each in child.children]
        return copy
    return child[0], _kept_value(child[1])


def _kept_value(value: Any) -> Any:
    kind = type(value)
    if kind in _CONTAINERS:
        if kind in (tuple, frozenset) and PLAIN.issuperset(map(type, value)):
            return value
        # Of a set a list: its order is this set's.
        found = [_kept_value(each) for each in value]
        return tuple(found) if kind is tuple else found
    if kind is SimpleLazyObject:
        value = value._wrapped
    if isinstance(value, Model):
        copy = object.__new__(type(value))
        copy.__dict__.update(value.__dict__)
        return copy
    return value

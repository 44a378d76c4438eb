"""Django's converters of what a driver gives, and the core's that do the same.

A backend whose driver knows fewer types than Django has a converter for each of the
others, a method of its operations. The core has such converters too, without a call of
Python code. They stand in for Django's own alone: where a class of operations has
another method by that name, or a tool has replaced it, that is called.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from types import FunctionType
from typing import Any

from django.db.models import Field

from ... import _native
from ...unpatched import Unpatched, UnpatchedFunctions, djangos_class

# By Django's backend: the methods of its operations, and the class of the core's.
KINDS: dict[str, dict[str, str]] = {
    "mysql": {
        "convert_booleanfield_value": "BooleanConverter",
        "convert_datetimefield_value": "AwareConverter",
        "convert_durationfield_value": "DurationConverter",
        "convert_uuidfield_value": "UUIDConverter",
    },
    "sqlite": {
        "convert_booleanfield_value": "BooleanConverter",
        "convert_datefield_value": "DateConverter",
        "convert_datetimefield_value": "DateTimeConverter",
        "convert_durationfield_value": "DurationConverter",
        "convert_timefield_value": "TimeConverter",
        "convert_uuidfield_value": "UUIDConverter",
    },
}
# What those methods call.
_CALLED: dict[str, tuple[str, ...]] = {
    "mysql": ("get_db_converters",),
    "sqlite": (
        *("get_db_converters", "get_decimalfield_converter", "_create_decimal"),
    ),
}
_PARSERS: dict[str, tuple[str, ...]] = {
    "mysql": (),
    "sqlite": ("parse_date", "parse_datetime", "parse_time"),
}

# Digits of a float that count, where the backend keeps decimals in those.
_PRECISION = 15
_QUANTUM = "quantize_value"


class Converters:
    """The core's converters in the place of a class of operations' own."""

    def __init__(self, kind: Any, vendor: str) -> None:
        djangos = djangos_class(kind)
        names = *KINDS[vendor], *_CALLED[vendor]
        self._of_class = Unpatched((kind, djangos, names))
        module = sys.modules[djangos.__module__]
        self._parsers = UnpatchedFunctions(*((module, at) for at in _PARSERS[vendor]))
        self._decimals = f"{djangos.__name__}.get_decimalfield_converter.<locals>."
        # Whether an int or a str is a decimal digit by digit; Django 5.2 rounds them.
        self._exact = hasattr(djangos, "_create_decimal")
        self._made = {
            name: getattr(_native.rows, kind)(name)
            for name, kind in KINDS[vendor].items()
        }

    @property
    def watch(self) -> Any:
        """What tells the core that the class is as it was."""
        return self._of_class.watch

    def holds(self) -> bool:
        """Tell whether the operations' converters are Django's."""
        return self._of_class.holds() and self._parsers.holds()

    def for_function(self, function: Any, expression: Any, ops: Any) -> Any:
        """Return the core's converter in the place of `function`, or `function`."""
        if getattr(function, "__self__", None) is ops:
            name = function.__name__
            own = name in self._made and name not in vars(ops)
            return self._made[name] if own else function
        if type(function) is FunctionType and function.__qualname__.startswith(
            self._decimals
        ):
            return _decimals(function, expression, self._exact)
        return function


def _decimals(function: FunctionType, expression: Any, exact: bool) -> Any:
    context = quantum = None
    names = function.__code__.co_freevars
    if _QUANTUM in names:
        quantum = (function.__closure__ or ())[names.index(_QUANTUM)].cell_contents
        context = expression.output_field.context
    return _native.rows.DecimalConverter(
        "get_decimalfield_converter", _PRECISION, exact, quantum, context
    )


@cache
def of(kind: Any, vendor: str) -> Converters | None:
    """Return the core's converters for a class of operations, if it has any."""
    return Converters(kind, vendor) if _native.COMPILED and vendor in KINDS else None


def of_compiler(compiler: Any) -> Converters | None:
    """Return the core's converters for a compiler's connection, if it has any."""
    connection = compiler.connection
    kind: Any = type(connection.ops)
    return of(kind, connection.vendor)


def compiled(
    compiler: Any, converters: dict[int, Any]
) -> Iterator[tuple[int, tuple[Callable[..., Any], ...], Any]]:
    """Yield (column, functions, expression) of `SQLCompiler.get_converters()`.

    The functions are the core's where those are Django's own.
    """
    ops = compiler.connection.ops
    found = of_compiler(compiler)
    if found is not None and not found.holds():
        found = None
    for column, (functions, expression) in converters.items():
        if found is not None:
            functions = [found.for_function(f, expression, ops) for f in functions]
        yield column, tuple(functions), expression


def need_connection(compiler: Any, functions: Iterable[Any]) -> bool:
    """Tell whether converters belong to one connection: a plan of them is not kept."""
    given = of_compiler(compiler) is not None
    return any(not _is_anybodys(each, given) for each in functions)


def _is_anybodys(function: Any, given: bool) -> bool:
    # A batch of tuples gives the connection of its own run.
    if isinstance(function, _native.rows.CompiledConverter):
        return True
    if given and isinstance(getattr(function, "__self__", None), Field):
        return True
    # Those of an expression by itself make a number of a number.
    return bool(function.__module__ == "django.db.models.expressions")

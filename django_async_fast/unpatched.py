"""Whether the code that Django or psycopg wrote runs by a name, or somebody else's.

Tools hook in wherever a function is called: they replace it in its class, before or
after this package is imported. What we leave out must not be what they wait for. So a
function is asked where it comes from; what was found at import says nothing.
"""

import functools
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from operator import is_
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

from django.utils import functional
from django.utils.functional import cached_property

from . import _native

_OURS = __package__
# Modules of Python's whose decorators stand around a function of Django's.
_DECORATORS = ("contextlib", "functools")
# Where decorators, methods and partials keep what they call.
_AROUND = "__wrapped__", "__func__", "func"
_CACHED = (cached_property, functools.cached_property)
# Of Python and, if it is there, of the core.
_FUNCTIONS: tuple[type[Any], ...] = (FunctionType,)
if _native.COMPILED:
    _FUNCTIONS += (type(_native.rows.lazy_reader),)
_TAKES_LAZY = functional.keep_lazy(str)(vars).__code__
_SLOTS = (GetSetDescriptorType, MemberDescriptorType)
_CONSTANTS = (
    *(bool, bytes, complex, float, int, str, type(None), type(...)),
    *(CodeType, frozenset, slice, tuple),
)


class Unpatched:
    """Classes that run their packages' own code, asked once after each change.

    Each of `asked` is (class, the class of Django's or psycopg's that it must be like,
    names), or without names: every name that the latter has.
    """

    __slots__ = ("_answer", "_asked", "_found", "holds", "watch")

    # Tells whether all of it is as its packages define it.
    holds: Callable[[], bool]

    def __init__(self, *asked: tuple[Any, ...]) -> None:
        self._asked = asked
        self._answer = False
        # What the answer was given for.
        self._found: list[Any] = []
        # Of the core, which asks it without a call.
        self.watch: Any = None
        self.holds = self._ask
        if _native.COMPILED:
            classes = [each[0] for each in asked]
            names = tuple([tuple(each[2]) if each[2:] else () for each in asked])
            self.watch = _native.rows.ClassWatch(*classes, asked=self._ask, names=names)
            self.holds = self.watch.holds

    def _ask(self) -> bool:
        if self.watch is not None:
            self.watch.look()
        found = [each for asked in self._asked for each in _values(*asked)]
        # By identity: a proxy is equal to what it stands for.
        if len(found) != len(self._found) or not all(map(is_, found, self._found)):
            self._answer = all(is_like(*each) for each in self._asked)
            self._found = found
        return self._answer


def _unpatched_class(kind: Any, base: Any, names: tuple[str, ...]) -> Unpatched:
    return Unpatched((kind, base, names))


# Whether a class runs by some names what `base` does: one Unpatched for each of them,
# as long as not too many classes have been made at run time since.
unpatched_class: Callable[..., Unpatched] = functools.lru_cache(1024)(_unpatched_class)


class UnpatchedFunctions:
    """What modules have by some names, asked once after each change."""

    __slots__ = ("_answer", "_found", "_places", "holds", "watch")

    # Tells whether all of it is their packages' own.
    holds: Callable[[], bool]

    def __init__(self, *places: tuple[ModuleType, str]) -> None:
        self._places = places
        self._answer = not places
        self._found: list[Any] = []
        # Of the core, which asks it without a call.
        self.watch: Any = None
        self.holds = self._ask
        if _native.COMPILED:
            dicts = [(vars(module), name) for module, name in places]
            self.watch = _native.rows.FunctionWatch(*dicts, asked=self._ask)
            self.holds = self.watch.holds

    def _ask(self) -> bool:
        found = [vars(module).get(name) for module, name in self._places]
        if len(found) != len(self._found) or not all(map(is_, found, self._found)):
            self._answer = all(is_own(*place) for place in self._places)
            self._found = found
        return self._answer


def is_like(kind: Any, base: Any, names: tuple[str, ...] = ()) -> bool:
    """Tell whether class `kind` runs by these names what `base` does, unpatched.

    Classes and functions of our own in between call those that they stand before.
    """
    return all(
        (owner in base.__mro__ or _is_ours(value)) and _is_own(value, owner)
        for owner in kind.__mro__
        for value in _of_class(owner, names)
    )


def is_djangos(kind: type[Any]) -> bool:
    """Tell whether a class was defined by Django."""
    return kind.__module__.startswith("django.")


def owner_of(kind: type[Any], name: str) -> Any:
    """Return which class defines what `kind` has by a name, None for none."""
    return next((each for each in kind.__mro__ if name in vars(each)), None)


def is_djangos_own(kind: type[Any], name: str) -> bool:
    """Tell whether what a class has by a name, if anything, is as Django defines it."""
    owner = owner_of(kind, name)
    if owner in (None, object):
        return True
    return is_djangos(owner) and _is_own(vars(owner)[name], owner)


def djangos_class(kind: Any) -> Any:
    """Return the first of a class and its bases that is Django's; object for none."""
    found = (each for each in kind.__mro__ if is_djangos(each))
    return next(found, object)


def _values(kind: Any, base: Any, names: tuple[str, ...] = ()) -> Iterable[Any]:
    return (value for owner in kind.__mro__ for value in _of_class(owner, names))


def _of_class(kind: Any, names: tuple[str, ...]) -> Iterable[Any]:
    values = vars(kind)
    if not names:
        return values.values()
    return [values[name] for name in names if name in values]


def is_own(module: ModuleType, name: str) -> bool:
    """Tell whether a function, or class, of a module is what its package calls so."""
    found = vars(module).get(name)
    of = str(getattr(found, "__module__", "")).partition(".")[0]
    if (
        # What MySQLdb calls `connect` is its `Connect`.
        str(getattr(found, "__name__", "")).lower() != name.lower()
        or (
            of != module.__name__.partition(".")[0]
            and of not in sys.stdlib_module_names  # imported from there
        )
    ):
        return False
    return type(found) is type or _is_own_function(_inside_lazy(found), of, "")


def _inside_lazy(function: Any) -> Any:
    """Return what Django has decorated to take lazy text, if it is such a function."""
    code = getattr(function, "__code__", None)
    if code is not _TAKES_LAZY or function.__globals__ is not vars(functional):
        return function
    return function.__closure__[code.co_freevars.index("func")].cell_contents


def is_own_method(method: Any, kind: Any, name: str) -> bool:
    """Tell whether `method` is the class method `name` that `kind` is defined with."""
    if type(method) is not MethodType or method.__self__ is not kind:
        return False
    return _is_own(method.__func__, kind) and method.__func__.__name__ == name


def inside(function: Any, kind: Any, name: str) -> Any:
    """Return the function that `kind` was defined with, out of what is around it.

    None where what has been made of it does not show it.
    """
    package = kind.__module__.partition(".")[0]
    around, seen = [function], set()
    while around:
        each = around.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if (
            type(each) is FunctionType
            and each.__code__.co_name == name
            and _is_own_function(each, package, kind.__qualname__)
        ):
            return each
        around += [getattr(each, at, None) for at in _AROUND]
        around += _enclosed(each)
    return None


def _enclosed(function: Any) -> list[Any]:
    """Return the values that a function has taken from around it."""
    found = []
    for cell in getattr(function, "__closure__", None) or ():
        with suppress(ValueError):  # nothing in it yet
            found.append(cell.cell_contents)
    return found


def _is_own(value: Any, owner: Any) -> bool:
    """Tell whether `value` is what the class `owner` has been defined with."""
    package = owner.__module__.partition(".")[0]
    if package in sys.stdlib_module_names:
        return True
    kind = type(value)
    if kind in _FUNCTIONS:
        return _is_own_function(value, package, owner.__qualname__)
    if kind in (classmethod, staticmethod):
        return _is_own(value.__func__, owner)
    if kind is property:
        parts = (value.fget, value.fset, value.fdel)
        return all(each is None or _is_own(each, owner) for each in parts)
    if kind in _CACHED:
        return _is_own(getattr(value, "real_func", None) or value.func, owner)
    # What else can be called is not Django's, but our descriptors; what cannot is data.
    return (
        kind in _SLOTS
        or kind.__module__.partition(".")[0] == _OURS
        or isinstance(value, type)
        or not (callable(value) or hasattr(kind, "__get__"))
    )


def _is_own_function(function: Any, package: str, scope: str) -> bool:
    # Not by its names: a wrapper takes those over from what it wraps.
    if _is_ours(function):
        before = getattr(function, "__wrapped__", None)
        return before is None or _is_own_function(before, package, scope)
    if type(function) is not FunctionType:
        return False
    code, module = function.__code__, function.__globals__.get("__name__", "")
    if getattr(sys.modules.get(module), "__dict__", None) is not function.__globals__:
        return False
    if not all(isinstance(each, _CONSTANTS) for each in code.co_consts):
        return False  # written into it
    of = module.partition(".")[0]
    if "<locals>" not in code.co_qualname:
        return of == package and code.co_qualname.rpartition(".")[0] == scope
    inner = [each for each in _enclosed(function) if callable(each)]
    if not inner:
        # Made by a function that the class is defined with.
        return of == package and code.co_qualname.startswith(f"{scope}.")
    # A decorator's, around one.
    return (of == package or of in _DECORATORS) and all(
        _is_own_function(each, package, scope) for each in inner
    )


def _is_ours(value: Any) -> bool:
    function = getattr(value, "__func__", value)
    if type(function) not in _FUNCTIONS:
        return False
    name: str = function.__globals__.get("__name__", "")
    return name.partition(".")[0] == _OURS

"""Whose code runs by a name is asked of the code, not of what was there at import."""

import functools
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any
from unittest import mock
from weakref import ref

import psycopg
import pytest
from django.db.backends.postgresql.base import Cursor, DatabaseWrapper
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper
from django.db.models import QuerySet, sql
from django.db.models.sql import compiler
from django.utils import html
from django.utils.asyncio import async_unsafe
from django.utils.functional import cached_property, keep_lazy

from django_async_fast import unpatched
from django_async_fast.unpatched import (
    Unpatched,
    UnpatchedFunctions,
    is_like,
    is_own,
    is_own_method,
    unpatched_class,
)


class Proxy:
    """What wrapt puts in the place of a function: it says what that would say."""

    def __init__(self, wrapped: Any) -> None:
        self.__dict__["wrapped"] = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    @property
    def __class__(self) -> Any:
        return type(self.wrapped)

    def __eq__(self, other: object) -> bool:
        return bool(self.wrapped == other)

    def __hash__(self) -> int:
        return hash(self.wrapped)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self.wrapped.__get__(instance, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.wrapped(*args, **kwargs)


def plain(function: Any) -> Any:
    def outer(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return outer


def wrapping(function: Any) -> Any:
    return functools.wraps(function)(plain(function))


def by_djangos_decorator(function: Any) -> Any:
    return async_unsafe(plain(function))


def by_pythons_decorator(function: Any) -> Any:
    return contextmanager(plain(function))


def written_into(function: Any) -> Any:
    """Its own names, file and module, and another's code: as Datadog has it."""
    names = {"co_qualname": function.__code__.co_qualname}
    code = (lambda *args: print(*args)).__code__
    code = code.replace(co_consts=(*code.co_consts, plain), **names)
    return FunctionType(code, function.__globals__)


def another_of_the_file(function: Any) -> Any:
    return CursorDebugWrapper.execute


HOOKS: list[Callable[[Any], Any]] = [
    *(plain, wrapping, Proxy, functools.partial, functools.partialmethod, property),
    *(by_djangos_decorator, by_pythons_decorator, written_into, another_of_the_file),
    *(classmethod, staticmethod, cached_property, lambda function: mock.Mock()),
]


@pytest.fixture
def _uncompiled(request: pytest.FixtureRequest) -> Iterator[None]:
    with mock.patch.object(unpatched._native, "COMPILED", request.param):
        yield


@pytest.mark.parametrize("_uncompiled", [True, False], indirect=True)
@pytest.mark.parametrize("hook", HOOKS, ids=lambda each: each.__name__)
@pytest.mark.usefixtures("_uncompiled")
def test_what_a_tool_puts_there_is_its_own(hook: Callable[[Any], Any]) -> None:
    asked = Unpatched((CursorWrapper, CursorWrapper))
    assert asked.holds()
    assert asked.holds()
    replaced = vars(CursorWrapper)["execute"]
    hooked = hook(replaced)
    if type(hooked) in (property, classmethod, staticmethod, cached_property):
        hooked = hook(plain(replaced))
    with mock.patch.object(CursorWrapper, "execute", hooked):
        assert not asked.holds()
        assert not asked.holds()
        assert not Unpatched((CursorWrapper, CursorWrapper)).holds()
    assert asked.holds()


def test_what_is_added_is_somebody_elses() -> None:
    with mock.patch.object(CursorWrapper, "fetchall", plain(len), create=True):
        assert not is_like(CursorWrapper, CursorWrapper)
    with mock.patch.object(CursorWrapper, "marked", True, create=True):
        assert is_like(CursorWrapper, CursorWrapper)


@pytest.mark.parametrize(
    "kind",
    [CursorWrapper, Cursor, DatabaseWrapper, QuerySet, sql.Query, compiler.SQLCompiler],
    ids=lambda each: each.__name__,
)
def test_all_of_a_class_is_its_own_with_our_seams(kind: Any) -> None:
    assert is_like(kind, kind)


def test_a_class_that_changes_too_often_is_asked_each_time() -> None:
    class Field:
        step = 0

    Field.__module__ = "django.db.models"
    asked = Unpatched((Field, Field))
    for Field.step in range(3000):
        assert asked.holds()
    with mock.patch.object(Field, "clean", Proxy(len), create=True):
        assert not asked.holds()
    assert asked.holds()


def test_classes_made_at_run_time_are_forgotten() -> None:
    made = []
    for _ in range(1500):
        kind = type("Made", (QuerySet,), {})
        assert unpatched_class(kind, QuerySet, ("update",)).holds()
        made.append(ref(kind))
    gc.collect()
    assert made[0]() is None
    assert made[-1]() is kind


def test_a_subclass_of_a_backend() -> None:
    class Prometheus(DatabaseWrapper):
        def create_cursor(self, name: Any = None) -> Any:
            return super().create_cursor(name)

    assert is_like(Prometheus, DatabaseWrapper, ("connect", "cursor"))
    assert not is_like(Prometheus, DatabaseWrapper, ("connect", "create_cursor"))
    # Django's own, but not what is left out.
    assert not is_like(CursorDebugWrapper, CursorWrapper, ("execute",))
    with mock.patch.object(Prometheus.__mro__[2], "connect", plain(len)):
        assert not is_like(Prometheus, DatabaseWrapper, ("connect", "cursor"))


def test_a_hook_beneath_is_found() -> None:
    """An override of Django's own calls what it inherits."""
    base = psycopg.Cursor.__mro__[1]
    with mock.patch.object(base, "_execute_gen", wrapping(base._execute_gen)):
        assert not is_like(Cursor, Cursor)


def test_a_function_of_a_module() -> None:
    asked = UnpatchedFunctions((compiler, "cursor_iter"), (html, "escape"))
    assert asked.holds()
    assert UnpatchedFunctions().holds()
    for module, name in ((compiler, "cursor_iter"), (html, "escape")):
        for hook in (plain, wrapping, Proxy, lambda _: at_its_place, lazily):
            with mock.patch.object(module, name, hook(getattr(module, name))):
                assert not is_own(module, name)
                assert not asked.holds()
        assert is_own(module, name)
        assert asked.holds()


def at_its_place(*args: Any) -> Any:
    """Of a module, but not of the one that a function is replaced in."""
    return args


def lazily(function: Any) -> Any:
    return functools.wraps(function)(keep_lazy(str)(at_its_place))


def test_another_function_or_class_of_the_package() -> None:
    assert is_own(html, "SafeString")
    for name, value in (("SafeString", mock.Mock), ("escape", html.conditional_escape)):
        with mock.patch.object(html, name, value):
            assert not is_own(html, name)


def test_a_method_of_a_class() -> None:
    # Made when psycopg was imported.
    assert is_own_method(psycopg.connect, psycopg.Connection, "connect")
    for hook in (plain, wrapping, Proxy):
        assert not is_own_method(hook(psycopg.connect), psycopg.Connection, "connect")

    class Other(psycopg.Connection[Any]): ...

    assert not is_own_method(Other.connect, psycopg.Connection, "connect")
    hooked = classmethod(plain(len))
    with mock.patch.object(psycopg.Connection, "connect", hooked):
        connect = psycopg.Connection.connect
        assert not is_own_method(connect, psycopg.Connection, "connect")

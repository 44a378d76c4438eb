"""The tools with which tests change what belongs to the whole process take the turn.

Django's tests change settings, patch modules, capture output. Where several run at
once each would see the others' changes. Nothing of the tests has to be known for
this: it is done by the tools that they make the changes with.
"""

import contextlib
import contextvars
import functools
import threading
import unittest._log
import unittest.case
import unittest.mock
import warnings
from collections.abc import Callable, Generator
from typing import Any

from django.db import reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.query_utils import RegisterLookupMixin
from django.dispatch import Signal
from django.test import testcases, utils

from tools.conformance.turns import turn

# Class, and its methods that begin and end the change.
SECTIONS = (
    (contextlib._RedirectStream, "__enter__", "__exit__"),
    (testcases._AssertTemplateUsedContext, "__enter__", "__exit__"),
    (unittest._log._AssertLogsContext, "__enter__", "__exit__"),
    (unittest.case._AssertWarnsContext, "__enter__", "__exit__"),
    (unittest.mock._patch, "__enter__", "__exit__"),
    (unittest.mock._patch_dict, "__enter__", "__exit__"),
    (utils.isolate_apps, "enable", "disable"),
    (utils.override_settings, "enable", "disable"),
    (utils.override_system_checks, "enable", "disable"),
    (warnings.catch_warnings, "__enter__", "__exit__"),
)
# Functions of django.test.utils that make context managers.
GENERATORS = ("captured_output", "extend_sys_path", "freeze_time", "isolate_lru_cache")


# What is seldom undone where it was done.
UNTIL_THE_CLASS_ENDS = object()

# Classes that change the process with a plain assignment, which nobody can notice.
ALONE = {
    # They replace input().
    "auth_tests.test_management.CreatesuperuserManagementCommandTestCase",
    "auth_tests.test_management.MockInputTests",
    "auth_tests.test_management.MultiDBCreatesuperuserTestCase",
    # It replaces Manager._queryset_class.
    "basic.tests.SelectOnSaveTests",
    # They look at all garbage.
    "backends.base.test_base.DatabaseWrapperTests",
    "select_related.tests.SelectRelatedTests",
}


def begin_class(case: type) -> None:
    """Have a class that is known to need it run alone, to its end."""
    if f"{case.__module__}.{case.__qualname__}" in ALONE:
        turn.take(UNTIL_THE_CLASS_ENDS)


def install() -> None:
    """Have the tools of tests take the turn."""
    for owner, begin, end in SECTIONS:
        _exclusive(owner, begin, end)
    for name in GENERATORS:
        setattr(utils, name, _exclusive_generator(getattr(utils, name)))
    _no_patch_for_a_class()
    _files_are_locked()
    _lookups_are_registered()
    _receivers_are_connected()
    _threads_inherit()


def _exclusive(owner: Any, begin: str, end: str) -> None:
    enter, leave = getattr(owner, begin), getattr(owner, end)

    @functools.wraps(enter)
    def exclusive_enter(self: Any, *args: Any) -> Any:
        if not _changes_nothing(self):
            turn.take(id(self))
        try:
            return enter(self, *args)
        except BaseException:
            turn.give(id(self))
            raise

    @functools.wraps(leave)
    def exclusive_leave(self: Any, *args: Any) -> Any:
        try:
            return leave(self, *args)
        finally:
            turn.give(id(self))

    setattr(owner, begin, exclusive_enter)
    setattr(owner, end, exclusive_leave)


def _changes_nothing(change: Any) -> bool:
    """Tell whether `change` is a mock.patch() of something by itself."""
    if not isinstance(change, unittest.mock._patch):
        return False
    return change.new is getattr(change.getter(), change.attribute, None)


def _no_patch_for_a_class() -> None:
    """Have Django 6.1's test classes not patch the backend while they last.

    They do, to catch threads that use an alias that is not allowed. That it is not
    allowed in the test itself, each worker's own wrappers say.
    """

    def ensure_connection(cls: Any) -> Any:
        return BaseDatabaseWrapper.ensure_connection

    testcases.SimpleTestCase.ensure_connection_patch_method = classmethod(
        ensure_connection
    )


def _exclusive_generator(manager: Callable[..., Any]) -> Callable[..., Any]:
    @contextlib.contextmanager
    def inner(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        change = object()
        turn.take(change)
        try:
            with manager(*args, **kwargs) as value:
                yield value
        finally:
            turn.give(change)

    return inner


def _files_are_locked() -> None:
    """Let classes that lock a file run alone: the lock would stop the loop."""
    set_up = testcases.SerializeMixin.setUpClass.__func__

    def alone(cls: Any) -> None:
        turn.take(UNTIL_THE_CLASS_ENDS)
        set_up(cls)

    testcases.SerializeMixin.setUpClass = classmethod(alone)


def _lookups_are_registered() -> None:
    ways = (
        (vars(RegisterLookupMixin)["register_lookup"], turn.take),
        (vars(RegisterLookupMixin)["_unregister_lookup"], turn.give),
    )
    for both, act in ways:
        both.class_method = _telling(both.class_method, act)
        both.instance_method = _telling(both.instance_method, act)


def _telling(
    register: Callable[..., Any], act: Callable[[Any], None]
) -> Callable[..., Any]:
    def inner(owner: Any, lookup: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return register(owner, lookup, *args, **kwargs)
        finally:
            act((id(owner), lookup))

    return inner


def _receivers_are_connected() -> None:
    connect = Signal.connect

    def exclusive_connect(self: Any, receiver: Any, *args: Any, **kwargs: Any) -> Any:
        # assertNumQueries() takes this one out and puts it back. It looks at the
        # connections of whoever sends the signal.
        if receiver is not reset_queries:
            turn.take(UNTIL_THE_CLASS_ENDS)
        return connect(self, receiver, *args, **kwargs)

    Signal.connect = exclusive_connect


def _threads_inherit() -> None:
    start = threading.Thread.start

    def start_in_context(self: threading.Thread) -> None:
        context = contextvars.copy_context()
        self.run = functools.partial(context.run, self.run)  # type: ignore[method-assign]
        start(self)

    threading.Thread.start = start_in_context  # type: ignore[method-assign]

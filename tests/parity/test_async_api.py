"""In a block no method of Django's async API needs a thread.

Every call is counted; and what a future Django adds to the API must be called here too.
"""

import importlib
import inspect
import pkgutil
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import CodeType, ModuleType
from typing import Any

import django
import pytest
from asgiref.current_thread_executor import CurrentThreadExecutor
from asgiref.sync import SyncToAsync
from django.contrib.auth import hashers
from django.db import transaction

from django_async_fast import new_connection, run_sync
from tests.support.async_api import ALL, call, exists, prepare
from tests.support.describe import Queries
from tests.support.noted import noted
from tests.support.targets import RELATED_MANAGERS, Targets, plant
from tests.testapp.models import Author

# Password hashing burns CPU and keeps its thread. (Django 5.2 hashes on the loop.)
HASHING = {
    ("auth", "aauthenticate"),
    ("auth", "acheck_password_with_timing_attack_mitigation"),
    ("hashers", "acheck_password"),
    ("model_backend", "aauthenticate"),
    ("user", "acheck_password"),
}
HASHES_IN_A_THREAD = hasattr(hashers, "sync_to_async")
# Targets whose every call asks the database.
QUERYING = {
    *("queryset", "manager", "prefetching", "values", "values_list", "flat", "named"),
    *("dates", "own_iterable", "raw", "raw_prefetching", "book", "query_module"),
    *("reverse_fk", "m2m", "reverse_m2m", "through", "generic", "shortcuts", "signal"),
    *("users", "groups", "lazy_page"),
}
# Refused before the database is asked.
REFUSED = "acontains unsaved"

pytestmark = pytest.mark.usefixtures("session_files")


# ----- counting


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Count whatever could run something in another thread."""
    counts: dict[str, int] = {}
    with (
        noted(threading.Thread, "start") as started,
        noted(ThreadPoolExecutor, "submit") as submitted,
        noted(CurrentThreadExecutor, "submit") as submitted_here,
        noted(SyncToAsync, "__call__") as threaded,
    ):
        yield counts
    counts["started"], counts["threaded"] = len(started), len(threaded)
    counts["submitted"] = len(submitted) + len(submitted_here)


async def test_the_counters_see_a_thread() -> None:
    with counted() as counts:
        await Author.objects.acount()
    assert counts["threaded"] == counts["submitted"] == 1


@pytest.mark.parametrize(("target", "case"), ALL)
async def test_no_thread(target: str, case: str) -> None:
    async with new_connection(force_rollback=True) as conn:
        await run_sync(plant)
        targets = Targets()
        if not await run_sync(exists, targets, target, case):
            pytest.skip(f"not in Django {django.__version__}")
        called = await run_sync(prepare, targets, target, case)
        # Some are to fail: test_parity.py knows which.
        with (
            conn.execute_wrapper(queries := Queries()),
            counted() as counts,
            suppress(Exception),
        ):
            await call(case, *called)
    hashings = int((target, case) in HASHING and HASHES_IN_A_THREAD)
    assert counts["threaded"] == counts["submitted"] == hashings
    assert counts["started"] <= hashings  # an executor keeps its threads
    assert queries or target not in QUERYING or case == REFUSED


# ----- is that all?

PLACES = (
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.core.cache",
    "django.core.paginator",
    "django.db.models",
    "django.dispatch",
    "django.shortcuts",
)
# These need an installed app that this project does not have, or are commands.
UNIMPORTABLE = ("django.contrib.auth.admin", "management", "migrations")
# What no call can reach in a block, and why.
EXCEPTED: dict[str, str] = {}


def modules(root: str) -> Iterator[ModuleType]:
    module = importlib.import_module(root)
    yield module
    for info in pkgutil.walk_packages(getattr(module, "__path__", []), f"{root}."):
        if not any(part in info.name for part in UNIMPORTABLE):
            yield importlib.import_module(info.name)


def coroutine_functions(owner: Any) -> Iterator[tuple[str, Any]]:
    for name, found in list(vars(owner).items()):
        function = getattr(found, "__func__", found)  # of a classmethod
        if name.startswith("a") and (
            inspect.iscoroutinefunction(function)
            or inspect.isasyncgenfunction(function)
        ):
            yield f"{owner.__name__}.{name}", inspect.unwrap(function)


def asynchronous_api(targets: Targets) -> dict[CodeType, str]:
    """Return the code of every `a*` coroutine function of Django's, with its name."""
    found: dict[CodeType, str] = {}
    owners: list[Any] = []
    for root in PLACES:
        for module in modules(root):
            owners.append(module)
            owners += [
                kind
                for kind in vars(module).values()
                if inspect.isclass(kind) and kind.__module__ == module.__name__
            ]
    # Classes of related managers are made by functions, when a model is.
    for name in RELATED_MANAGERS:
        owners += type(getattr(targets, name)).__mro__
    for owner in owners:
        for name, function in coroutine_functions(owner):
            if function.__module__.startswith("django."):
                place = f"{owner.__module__}." if inspect.isclass(owner) else ""
                found[function.__code__] = place + name
    return found


async def test_every_asynchronous_method_is_in_the_catalogue() -> None:
    ran: set[CodeType] = set()

    def record(frame: Any, event: str, arg: Any) -> None:
        if event == "call":
            ran.add(frame.f_code)

    async with new_connection(force_rollback=True):
        await run_sync(plant)
        expected = await run_sync(asynchronous_api, Targets())
        for target, case in ALL:
            async with transaction.atomic():
                await _profiled(target, case, record)
                transaction.set_rollback(True)
    assert len(expected) > 100
    not_called = {name for code, name in expected.items() if code not in ran}
    assert not_called == set(EXCEPTED)


async def _profiled(target: str, case: str, record: Any) -> None:
    targets = Targets()
    if not await run_sync(exists, targets, target, case):
        return
    called = await run_sync(prepare, targets, target, case)
    before = sys.getprofile()
    sys.setprofile(record)
    try:
        with suppress(Exception):
            await call(case, *called)
    finally:
        sys.setprofile(before)

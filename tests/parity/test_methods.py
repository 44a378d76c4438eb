"""Every asynchronous method does what its synchronous twin does.

Both are called on the same generated rows, each in a transaction that is undone: the
twin on Django's own connection, outside of any block. What they return or raise, what
they leave in their arguments, and each query with its parameters must be equal.
"""

import random
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import django
import pytest
from asgiref.sync import async_to_sync
from django.core import cache, signing
from django.core.cache.backends import base as cache_base
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.utils import crypto, timezone
from hypothesis import Phase, given, settings

from django_async_fast import new_connection, run_sync
from tests.support import strategies
from tests.support.async_api import CALLS, call, exists, method_of, prepare
from tests.support.describe import Queries, described, outcome
from tests.support.sql import execute
from tests.support.tables import restart_sequences
from tests.support.targets import Targets, plant

# Method -> its twin, where that is not the name without its "a".
NAMES = {"__aiter__": "__iter__", "__acall__": "__call__", "auser": "get_user"}
SESSION_NAMES = {"aset": "__setitem__"}
# Where Django's own asynchronous method does something else than the synchronous one:
# the reference is then that method, outside of a block.
DJANGOS_OWN = {
    ("lazy_page", "aget_object_list"): "there is no synchronous one",
    ("page", "aget_object_list"): "there is no synchronous one",
    ("page", "__aiter__"): "it keeps a list in place of the queryset",
    **{
        (target, case): "permissions are not kept with the user"
        for target in ("user", "model_backend")
        for case in CALLS[target]
        if case.startswith(("aget_all_perm", "ahas_"))
    },
    **{
        (target, "acount"): "only count() leaves the target's table out"
        for target in ("m2m", "reverse_m2m", "through")
    },
    **{
        (target, "adelete_test_cookie"): "it does not mark the session as modified"
        for target in CALLS
        if target.startswith("session")
    },
}
if django.VERSION < (6, 1):
    AUSER = "it asks request.auser(), which alogin() has not set"
    DJANGOS_OWN |= {
        ("auth", "alogout"): AUSER,
        ("auth", "aupdate_session_auth_hash"): AUSER,
        ("database_cache", "adelete_many"): "one query for each key",
        ("database_cache", "aget_many"): "one query for each key",
        ("database_cache", "ahas_key"): "it fetches the value",
        ("remote_middleware", "__acall__"): AUSER,
        ("remote_middleware", "aprocess_request"): AUSER,
    }
# Whose results do not depend on what the books are.
FIXED = {
    *("anonymous", "auth", "auth_middleware", "database_cache", "groups", "hashers"),
    *("model_backend", "own_backend", "remote_backend", "remote_middleware"),
    *("signal", "user", "users"),
    *(target for target in CALLS if target.startswith("session")),
}
# Its plan depends on how full the pages of the tables are.
VARIES = "aexplain"

NOW = datetime.now().astimezone()


class Frozen(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return NOW.astimezone(tz) if tz else NOW.replace(tzinfo=None)


@contextmanager
def same_conditions(files: Path) -> Iterator[None]:
    """Let time stand still, and chance repeat itself; forget what was cached."""
    cache.cache.clear()
    shutil.rmtree(files)
    files.mkdir()
    clock = SimpleNamespace(time=NOW.timestamp)
    chance = SimpleNamespace(
        choice=random.Random(0).choice, compare_digest=secrets.compare_digest
    )
    with (
        mock.patch.object(timezone, "datetime", Frozen),
        mock.patch.object(signing, "time", clock),
        mock.patch.object(cache_base, "time", clock),
        mock.patch.object(crypto, "secrets", chance),
    ):
        yield


def begin(rows: Any) -> None:
    """Write the rows into empty files, so that unordered queries agree too."""
    execute(
        "TRUNCATE testapp_author, testapp_book, testapp_note, testapp_publisher, "
        "testapp_tag, auth_group, auth_user, django_session RESTART IDENTITY CASCADE"
    )
    plant(rows)


def seen_of(case: str, result: Any, called: Any, queries: Queries) -> Any:
    if method_of(case) == VARIES and isinstance(result, str):
        result = "a plan"
    return described(result), described(called), list(queries)


# ----- the twins


def call_twin(case: str, target: Any, args: Any, named: Any) -> Any:
    method = method_of(case)
    names = NAMES | (SESSION_NAMES if hasattr(target, "session_key") else {})
    found = getattr(target, names.get(method, method[1:]))
    if not callable(found):
        return found  # a property, like Paginator.count
    result = found(*args, **named)
    return list(result) if hasattr(result, "__next__") else result


def synchronously(files: Path, target: str, cases: Any, data: Any) -> dict[str, Any]:
    found = {}
    with transaction.atomic(), same_conditions(files):
        begin(data.rows)
        for case in cases:
            with transaction.atomic(), same_conditions(files):
                restart_sequences()
                found[case] = _reference(target, case, data)
                transaction.set_rollback(True)
        transaction.set_rollback(True)
    return found


def _reference(target: str, case: str, data: Any) -> Any:
    if (target, case) not in DJANGOS_OWN:
        return _synchronously(target, case, data)
    # This thread's connection, for a coroutine that runs in another.
    conn = connections[DEFAULT_DB_ALIAS]
    return async_to_sync(_asynchronously)(conn, target, case, data)


def _synchronously(target: str, case: str, data: Any) -> Any:
    called = prepare(Targets(False, data.queryset), target, case)
    queries = Queries()
    with connection.execute_wrapper(queries):
        result = outcome(call_twin, case, *called)
    return seen_of(case, result, called, queries)


async def asynchronously(files: Path, target: str, data: Any) -> dict[str, Any]:
    found = {}
    with same_conditions(files):
        async with new_connection() as conn, transaction.atomic():
            await run_sync(begin, data.rows)
            for case in CALLS[target]:
                if not await run_sync(exists, Targets(), target, case):
                    continue
                async with transaction.atomic():
                    with same_conditions(files):
                        await run_sync(restart_sequences)
                        found[case] = await _asynchronously(conn, target, case, data)
                    transaction.set_rollback(True)
            transaction.set_rollback(True)
    return found


async def _asynchronously(conn: Any, target: str, case: str, data: Any) -> Any:
    called = await run_sync(prepare, Targets(True, data.queryset), target, case)
    queries = Queries()
    with conn.execute_wrapper(queries):
        try:
            result = await call(case, *called)
        except Exception as exc:
            result = type(exc), str(exc)
    return seen_of(case, result, called, queries)


def compare(files: Path, target: str, data: Any) -> None:
    found = async_to_sync(asynchronously)(files, target, data)
    expected = synchronously(files, target, found, data)
    differing = {
        f"{target}.{case}": (outcome, expected[case])
        for case, outcome in found.items()
        if outcome != expected[case]
    }
    assert not differing, list(differing)


@pytest.mark.parametrize("target", sorted(set(CALLS) - FIXED))
@settings(
    max_examples=5,
    derandomize=True,
    # An example is every case of a target: the failure names the case at once,
    # a smaller example takes minutes.
    phases=[Phase.generate],
)
@given(data=strategies.data)
def test_twins(target: str, session_files: Path, data: Any) -> None:
    compare(session_files, target, data)


@pytest.mark.parametrize("target", sorted(FIXED))
def test_twins_of_users_and_sessions(target: str, session_files: Path) -> None:
    compare(session_files, target, strategies.Data())

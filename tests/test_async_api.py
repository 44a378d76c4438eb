"""In a block no method of Django's async API needs a thread.

Every call is counted; and what a future Django adds to the API must be called here too.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

import django
import pytest
from asgiref.current_thread_executor import CurrentThreadExecutor
from asgiref.sync import SyncToAsync
from django import shortcuts
from django.contrib import auth
from django.contrib.auth import hashers
from django.contrib.auth import middleware as auth_middleware
from django.contrib.auth.backends import BaseBackend, ModelBackend, RemoteUserBackend
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends import cache, cached_db, db, file, signed_cookies
from django.contrib.sessions.backends.base import SessionBase
from django.core import paginator
from django.db import models
from django.db.models import query as django_query
from django.dispatch import Signal
from django.http import HttpResponse
from django.test import AsyncRequestFactory

from django_async_fast import new_connection, run_sync
from tests.testapp.models import Author, Book, Note, Publisher, Tag

PASSWORD = "correct horse"

# ----- what is called


# Takes a bound method and the world, and returns what is to be awaited or iterated.
Call = Callable[[Any, Any], Any]

PLAIN: Call = lambda call, w: call()  # noqa: E731

QUERYSET: dict[str, Call] = {
    "__aiter__": PLAIN,
    "aaggregate": lambda call, w: call(models.Count("pk")),
    "abulk_create": lambda call, w: call([Book(title="new", author=w.author)]),
    "abulk_update": lambda call, w: call([w.book], ["title"]),
    "acontains": lambda call, w: call(w.book),
    "acount": PLAIN,
    "acreate": lambda call, w: call(title="new", author=w.author),
    "adelete": PLAIN,
    "aearliest": lambda call, w: call("pk"),
    "aexists": PLAIN,
    "aexplain": PLAIN,
    "afirst": PLAIN,
    "aget": lambda call, w: call(pk=w.book.pk),
    "aget_or_create": lambda call, w: call(title="new", author=w.author),
    "ain_bulk": lambda call, w: call([w.book.pk]),
    "aiterator": lambda call, w: call(chunk_size=1),
    "alast": PLAIN,
    "alatest": lambda call, w: call("pk"),
    "aupdate": lambda call, w: call(title="other"),
    "aupdate_or_create": lambda call, w: call(pk=w.book.pk, defaults={"title": "b"}),
}
# A manager cannot be iterated and does not delete.
MANAGER = {k: v for k, v in QUERYSET.items() if k not in ("__aiter__", "adelete")}
ITERATION = {name: QUERYSET[name] for name in ("__aiter__", "aiterator")}


def related(
    new: Callable[[Any], Any], fields: Callable[[Any], dict[str, Any]], **extra: Any
) -> dict[str, Call]:
    """Return the calls of a related manager that can relate `new(world)`."""
    return {
        "aadd": lambda call, w: call(new(w), **extra),
        "aclear": PLAIN,
        "acount": PLAIN,
        "acreate": lambda call, w: call(**fields(w), **extra),
        "aget_or_create": lambda call, w: call(**fields(w), **extra),
        "aremove": lambda call, w: call(new(w)),
        "aset": lambda call, w: call([new(w)], **extra),
        "aupdate_or_create": lambda call, w: call(**fields(w), **extra),
    }


PERMISSIONS: dict[str, Call] = {
    "aget_all_permissions": PLAIN,
    "aget_group_permissions": PLAIN,
    "aget_user_permissions": PLAIN,
    "ahas_module_perms": lambda call, w: call("testapp"),
    "ahas_perm": lambda call, w: call("testapp.add_book"),
    "ahas_perms": lambda call, w: call(["testapp.add_book", "testapp.add_tag"]),
}
BACKEND: dict[str, Call] = {
    "aauthenticate": lambda call, w: call(w.request, username="u", password=PASSWORD),
    "aget_all_permissions": lambda call, w: call(w.user),
    "aget_group_permissions": lambda call, w: call(w.user),
    "aget_user": lambda call, w: call(w.user.pk),
    "aget_user_permissions": lambda call, w: call(w.user),
    "ahas_perm": lambda call, w: call(w.user, "testapp.add_book"),
}
SESSION: dict[str, Call] = {
    "acache_key": PLAIN,
    "aclear_expired": PLAIN,
    "acreate": PLAIN,
    "acreate_model_instance": lambda call, w: call({"a": 1}),
    "acycle_key": PLAIN,
    "adelete": PLAIN,
    "adelete_test_cookie": PLAIN,
    "aexists": lambda call, w: call("x" * 32),
    "aflush": PLAIN,
    "aget": lambda call, w: call("a"),
    "aget_expire_at_browser_close": PLAIN,
    "aget_expiry_age": PLAIN,
    "aget_expiry_date": PLAIN,
    "ahas_key": lambda call, w: call("a"),
    "aitems": PLAIN,
    "akeys": PLAIN,
    "aload": PLAIN,
    "apop": lambda call, w: call("a"),
    "asave": PLAIN,
    "aset": lambda call, w: call("b", 2),
    "aset_expiry": lambda call, w: call(60),
    "aset_test_cookie": PLAIN,
    "asetdefault": lambda call, w: call("c", 3),
    "atest_cookie_worked": PLAIN,
    "aupdate": lambda call, w: call({"d": 4}),
    "avalues": PLAIN,
}


def of_engine(engine: type[SessionBase]) -> dict[str, Call]:
    """Return the calls of SESSION that `engine` has: some know no cache."""
    return {name: call for name, call in SESSION.items() if hasattr(engine, name)}


CREDENTIALS = {"username": "u", "password": PASSWORD}

# Name of an attribute of the world -> its methods.
CALLS: dict[str, dict[str, Call]] = {
    "queryset": QUERYSET,
    "manager": MANAGER,
    "prefetching": {"aiterator": QUERYSET["aiterator"]},
    "values": ITERATION,
    "values_list": ITERATION,
    "flat": ITERATION,
    "named": ITERATION,
    "dates": ITERATION,
    "own_iterable": ITERATION,
    "raw": {"__aiter__": PLAIN},
    "book": {"adelete": PLAIN, "arefresh_from_db": PLAIN, "asave": PLAIN},
    "reverse_fk": related(
        lambda w: w.book, lambda w: {"title": "new", "author": w.author}
    ),
    "m2m": related(lambda w: w.tag, lambda w: {"name": "new"}),
    "reverse_m2m": related(
        lambda w: w.book, lambda w: {"title": "new", "author": w.author}
    ),
    "through": related(
        lambda w: w.author, lambda w: {"name": "new"}, through_defaults={"stars": 5}
    ),
    "generic": related(lambda w: w.note, lambda w: {"text": "new"}),
    "query_module": {
        "aprefetch_related_objects": lambda call, w: call([w.book], "tags", "author")
    },
    "shortcuts": {
        "aget_list_or_404": lambda call, w: call(Book, pk=w.book.pk),
        "aget_object_or_404": lambda call, w: call(Book, pk=w.book.pk),
    },
    "paginator": {
        "__aiter__": PLAIN,
        "acount": PLAIN,
        "aget_elided_page_range": PLAIN,
        "aget_page": lambda call, w: call(2),
        "anum_pages": PLAIN,
        "apage": lambda call, w: call(2),
        "apage_range": PLAIN,
        "avalidate_number": lambda call, w: call(2),
    },
    "page": {
        "__aiter__": PLAIN,
        "aend_index": PLAIN,
        "aget_object_list": PLAIN,
        "ahas_next": PLAIN,
        "ahas_other_pages": PLAIN,
        "ahas_previous": PLAIN,
        "anext_page_number": PLAIN,
        "aprevious_page_number": PLAIN,
        "astart_index": PLAIN,
    },
    "lazy_page": {"aget_object_list": PLAIN},
    "signal": {
        "asend": lambda call, w: call(sender=None),
        "asend_robust": lambda call, w: call(sender=None),
    },
    "auth": {
        "aauthenticate": lambda call, w: call(w.request, **CREDENTIALS),
        "acheck_password_with_timing_attack_mitigation": lambda call, w: call(
            w.user, PASSWORD
        ),
        "aget_user": lambda call, w: call(w.logged_in),
        "alogin": lambda call, w: call(w.request, w.user),
        "alogout": lambda call, w: call(w.logged_in),
        "aupdate_session_auth_hash": lambda call, w: call(w.logged_in, w.user),
    },
    "hashers": {
        "acheck_password": lambda call, w: call(PASSWORD, w.user.password),
    },
    "user": {
        **PERMISSIONS,
        "acheck_password": lambda call, w: call(PASSWORD),
        "arefresh_from_db": PLAIN,
        "asave": PLAIN,
    },
    "anonymous": PERMISSIONS,
    "users": {
        "acreate_superuser": lambda call, w: call("root", password=PASSWORD),
        "acreate_user": lambda call, w: call("new", password=PASSWORD),
        "aget_by_natural_key": lambda call, w: call("u"),
    },
    "groups": {"aget_by_natural_key": lambda call, w: call("g")},
    "model_backend": {
        **BACKEND,
        "ahas_module_perms": lambda call, w: call(w.user, "testapp"),
    },
    "own_backend": BACKEND,
    "remote_backend": {
        "aauthenticate": lambda call, w: call(w.request, remote_user="remote"),
        "aconfigure_user": lambda call, w: call(w.request, w.user),
    },
    "auth_middleware": {"auser": lambda call, w: call(w.logged_in)},
    "remote_middleware": {
        "__acall__": lambda call, w: call(w.remote_request),
        "aclean_username": lambda call, w: call("remote", w.logged_in),
        "aprocess_request": lambda call, w: call(w.remote_request),
    },
    "session_db": of_engine(db.SessionStore),
    "session_cached_db": of_engine(cached_db.SessionStore),
    "session_cache": of_engine(cache.SessionStore),
    "session_file": of_engine(file.SessionStore),
    "session_signed_cookies": of_engine(signed_cookies.SessionStore),
    "session_own": of_engine(SessionBase),
}
ALL = [(target, method) for target in CALLS for method in CALLS[target]]

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
    *("dates", "own_iterable", "raw", "book", "reverse_fk", "m2m", "reverse_m2m"),
    *("through", "generic", "query_module", "shortcuts", "signal", "users", "groups"),
    "lazy_page",
}


# ----- the world that it is called in


class OwnBackend(BaseBackend):
    """Like most backends of projects: synchronous methods only."""

    def authenticate(self, request: Any, **credentials: Any) -> Any:
        return User.objects.filter(username=credentials["username"]).first()

    def get_user(self, user_id: Any) -> Any:
        return User.objects.get(pk=user_id)

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set(user_obj.user_permissions.values_list("codename", flat=True))

    def get_group_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        return set(user_obj.groups.values_list("name", flat=True))


class OwnSessions(SessionBase):
    """Synchronous methods only; the asynchronous ones are SessionBase's."""

    def _store(self) -> Any:
        store = db.SessionStore(self._session_key)
        store._session_cache = dict(self._get_session(no_load=True))
        return store

    def exists(self, session_key: str) -> bool:
        return db.SessionStore().exists(session_key)

    def create(self) -> None:
        self._session_key = self._get_new_session_key()
        self.save(must_create=True)

    def save(self, must_create: bool = False) -> None:
        if self._session_key is None:
            self.create()
        else:
            self._store().save(must_create)

    def delete(self, session_key: str | None = None) -> None:
        db.SessionStore(self._session_key).delete(session_key)

    def load(self) -> Any:
        return db.SessionStore(self._session_key).load()

    @classmethod
    def clear_expired(cls) -> None:
        db.SessionStore.clear_expired()


class OwnIterable(django_query.BaseIterable):
    """A project's own: Django knows of it only that it can be iterated."""

    def __iter__(self) -> Iterator[Any]:
        compiler = self.queryset.query.get_compiler(self.queryset.db)
        return compiler.results_iter(
            chunked_fetch=self.chunked_fetch, chunk_size=self.chunk_size
        )


class LazyBooks:
    """Can be iterated, but not asynchronously."""

    def __iter__(self) -> Iterator[Book]:
        return iter(Book.objects.all())


def signal_with_receivers() -> Signal:
    signal = Signal()

    def receiver(**kwargs: Any) -> int:
        return Book.objects.count()

    async def areceiver(**kwargs: Any) -> int:
        return await Book.objects.acount()

    signal.connect(receiver, weak=False)
    signal.connect(areceiver, weak=False)
    return signal


async def request(**session: Any) -> Any:
    made = AsyncRequestFactory().get("/")
    made.session = db.SessionStore()
    await made.session.aupdate(session)
    made.user = AnonymousUser()
    made.auser = lambda: auth_middleware.auser(made)
    return made


async def session(engine: Any) -> Any:
    store = engine()
    await store.aset("a", 1)
    await store.aset_test_cookie()
    await store.asave()
    return engine(store.session_key)


async def respond(request: Any) -> HttpResponse:
    return HttpResponse()


async def make_world() -> Any:
    """Return one object of everything, by the names in CALLS."""
    # Django reads it synchronously where a generic relation is touched first.
    await run_sync(ContentType.objects.get_for_model, Book)
    w = SimpleNamespace()
    w.author = await Author.objects.acreate(name="a")
    publisher = await Publisher.objects.acreate(name="p")
    books = [
        await Book.objects.acreate(
            title=f"b{i}", author=w.author, publisher=publisher, published="2020-01-01"
        )
        for i in range(5)
    ]
    w.book = books[0]
    w.tag = await Tag.objects.acreate(name="t")
    await w.book.tags.aadd(w.tag)
    await w.book.readers.aadd(w.author)
    w.note = await w.book.notes.acreate(text="n")
    assert isinstance(w.note, Note)

    w.queryset = Book.objects.order_by("pk")
    w.manager = Book.objects
    w.prefetching = Book.objects.prefetch_related("tags", "author")
    w.values = Book.objects.values("pk", "title")
    w.values_list = Book.objects.values_list("pk", "title")
    w.flat = Book.objects.values_list("pk", flat=True)
    w.named = Book.objects.values_list("pk", "title", named=True)
    w.dates = Book.objects.dates("published", "year")
    w.own_iterable = Book.objects.values_list("pk")
    w.own_iterable._iterable_class = OwnIterable
    w.raw = Book.objects.raw("SELECT * FROM testapp_book")
    w.reverse_fk = publisher.books
    w.m2m = w.book.tags
    w.reverse_m2m = w.tag.books
    w.through = w.book.readers
    w.generic = w.book.notes
    w.query_module = django_query
    w.shortcuts = shortcuts
    w.paginator = w.page = w.lazy_page = None
    if hasattr(paginator, "AsyncPaginator"):
        w.paginator = paginator.AsyncPaginator(Book.objects.order_by("pk"), 2)
        w.page = await w.paginator.apage(2)
        w.lazy_page = paginator.AsyncPage(LazyBooks(), 1, w.paginator)
    w.signal = signal_with_receivers()

    w.user = await User.objects.acreate_user("u", password=PASSWORD)
    group = await Group.objects.acreate(name="g")
    permission = await Permission.objects.aget(codename="add_book")
    await group.permissions.aadd(permission)
    await w.user.groups.aadd(group)
    w.anonymous = AnonymousUser()
    w.users, w.groups = User.objects, Group.objects
    w.auth, w.hashers, w.auth_middleware = auth, hashers, auth_middleware
    w.model_backend = ModelBackend()
    w.own_backend = OwnBackend()
    w.remote_backend = RemoteUserBackend()
    w.remote_middleware = RemoteUserMiddleware(respond)
    w.request = await request()
    w.logged_in = await request()
    await auth.alogin(w.logged_in, w.user)
    w.remote_request = await request()
    w.remote_request.META["REMOTE_USER"] = "u"
    await auth.alogin(w.remote_request, w.user)

    w.session_db = await session(db.SessionStore)
    w.session_cached_db = await session(cached_db.SessionStore)
    w.session_cache = await session(cache.SessionStore)
    w.session_file = await session(file.SessionStore)
    w.session_signed_cookies = await session(signed_cookies.SessionStore)
    w.session_own = await session(OwnSessions)
    return w


async def call(target: str, method: str, world: Any) -> None:
    found = CALLS[target][method](getattr(getattr(world, target), method), world)
    if inspect.isawaitable(found):
        await found
    else:
        async for _ in found:
            pass


def missing(target: str, method: str, world: Any) -> bool:
    """Tell whether this Django has no such method."""
    return not hasattr(getattr(world, target), method)


@pytest.fixture(autouse=True)
def _files(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    monkeypatch.setattr(settings, "SESSION_FILE_PATH", str(tmp_path), raising=False)
    monkeypatch.setattr(
        file.SessionStore, "_storage_path", str(tmp_path), raising=False
    )


# ----- counting


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Count whatever could run something in another thread."""
    counts = SimpleNamespace(started=0, submitted=0, threaded=0)

    def count(owner: Any, name: str, field: str) -> None:
        original = getattr(owner, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            setattr(counts, field, getattr(counts, field) + 1)
            return original(*args, **kwargs)

        patch.setattr(owner, name, counting)

    with monkeypatch.context() as patch:
        count(threading.Thread, "start", "started")
        count(ThreadPoolExecutor, "submit", "submitted")
        count(CurrentThreadExecutor, "submit", "submitted")
        count(SyncToAsync, "__call__", "threaded")
        yield counts


async def test_the_counters_see_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    with counted(monkeypatch) as counts:
        await Author.objects.acount()
    assert counts.threaded == counts.submitted == 1


@pytest.mark.parametrize(("target", "method"), ALL)
async def test_no_thread(
    target: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries: list[str] = []

    def record(execute: Any, sql: str, *args: Any) -> Any:
        queries.append(sql)
        return execute(sql, *args)

    async with new_connection(force_rollback=True) as conn:
        world = await make_world()
        if missing(target, method, world):
            pytest.skip(f"not in Django {django.__version__}")
        with conn.execute_wrapper(record), counted(monkeypatch) as counts:
            await call(target, method, world)
    hashings = int((target, method) in HASHING and HASHES_IN_A_THREAD)
    assert counts.threaded == hashings
    assert counts.submitted == hashings
    assert counts.started <= hashings  # an executor keeps its threads
    assert queries or target not in QUERYING


# ----- is that all?

PLACES = (
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
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


def asynchronous_api(world: Any) -> dict[CodeType, str]:
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
    for name in ("reverse_fk", "m2m", "reverse_m2m", "through", "generic"):
        owners += type(getattr(world, name)).__mro__
    for owner in owners:
        for name, function in coroutine_functions(owner):
            if function.__module__.startswith("django."):
                found[function.__code__] = (
                    f"{owner.__module__}.{name}" if (inspect.isclass(owner)) else name
                )
    return found


async def test_every_asynchronous_method_is_called_above() -> None:
    ran: set[CodeType] = set()

    def record(frame: Any, event: str, arg: Any) -> None:
        if event == "call":
            ran.add(frame.f_code)

    expected: dict[CodeType, str] = {}
    for target, method in ALL:
        async with new_connection(force_rollback=True):
            world = await make_world()
            expected = expected or asynchronous_api(world)
            if missing(target, method, world):
                continue
            before = sys.getprofile()
            sys.setprofile(record)
            try:
                await call(target, method, world)
            finally:
                sys.setprofile(before)
    assert len(expected) > 100
    not_called = {name for code, name in expected.items() if code not in ran}
    assert not_called == set(EXCEPTED)

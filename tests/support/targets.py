"""The world that Django's asynchronous API is called in.

`plant()` writes the rows; `Targets` loads what a call needs when it is asked for, so
that each call gets objects of its own, and the same ones whatever the connection.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

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
from django.core.cache.backends.db import DatabaseCache
from django.core.management import call_command
from django.db.models import QuerySet
from django.db.models import query as django_query
from django.dispatch import Signal
from django.http import HttpResponse
from django.test import AsyncRequestFactory

from tests.testapp.models import Author, Book, Note, Publisher, Reading, Tag

PASSWORD = "correct horse"


# ----- rows


class BookRow(NamedTuple):
    title: str
    pages: int = 0
    price: Decimal = Decimal(0)
    in_print: bool = True
    published: dt.date | None = dt.date(2020, 1, 1)
    author: int = 0
    has_publisher: bool = True
    tags: frozenset[int] = frozenset()
    stars: int | None = None


AUTHORS = 3
TAGS = 3
FIVE_BOOKS = tuple(
    BookRow(f"b{i}", tags=frozenset({0} if i == 0 else {}), stars=i or 3)
    for i in range(5)
)


def plant(rows: tuple[BookRow, ...] = FIVE_BOOKS) -> None:
    """Write the rows that `Targets` reads."""
    # Django reads it synchronously where a generic relation is touched first.
    kind = ContentType.objects.get_for_model(Book)
    authors = Author.objects.bulk_create(Author(name=f"a{i}") for i in range(AUTHORS))
    tags = Tag.objects.bulk_create(Tag(name=f"t{i}") for i in range(TAGS))
    publisher = Publisher.objects.create(name="p")
    books = Book.objects.bulk_create(
        Book(
            title=row.title,
            pages=row.pages,
            price=row.price,
            in_print=row.in_print,
            published=row.published,
            author=authors[row.author],
            publisher=publisher if row.has_publisher else None,
        )
        for row in rows
    )
    pairs = list(zip(rows, books, strict=True))
    tagged = Book.tags.through
    tagged.objects.bulk_create(
        tagged(book=book, tag=tags[i]) for row, book in pairs for i in sorted(row.tags)
    )
    Reading.objects.bulk_create(
        Reading(book=book, reader=authors[0], stars=row.stars)
        for row, book in pairs
        if row.stars is not None
    )
    Note.objects.create(text="n", content_type=kind, object_id=books[0].pk)
    _plant_users()


def _plant_users() -> None:
    user = User.objects.create_user("u", password=PASSWORD)
    group = Group.objects.create(name="g")
    group.permissions.add(Permission.objects.get(codename="add_book"))
    user.groups.add(group)


# ----- what projects write


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
        return iter(Book.objects.order_by("pk"))


def receiver(**kwargs: Any) -> int:
    return Book.objects.count()


async def areceiver(**kwargs: Any) -> int:
    return await Book.objects.acount()


async def arespond(request: Any) -> HttpResponse:
    return HttpResponse()


def respond(request: Any) -> HttpResponse:
    return HttpResponse()


def make_request() -> Any:
    made = AsyncRequestFactory().get("/")
    made.session = db.SessionStore()
    made.user = AnonymousUser()
    made.auser = lambda: auth_middleware.auser(made)
    return made


def stored(engine: Any) -> Any:
    """Return a property: a session as the next request would find it."""

    def make(self: Any) -> Any:
        store = engine()
        store["a"] = 1
        store.set_test_cookie()
        store.save()
        return engine(store.session_key)

    return cached_property(make)


# ----- what is called


class Targets:
    """One object of everything, by the names that `async_api.py` has for it.

    Querying: made and asked in synchronous code, in a block on the bridge.
    """

    shortcuts = shortcuts
    query_module = django_query
    auth, hashers, auth_middleware = auth, hashers, auth_middleware
    users, groups = User.objects, Group.objects
    manager = Book.objects

    def __init__(
        self,
        asynchronous: bool = True,
        queryset: Callable[[Any], QuerySet[Book]] = lambda books: books.order_by("pk"),
    ) -> None:
        # Django has separate classes for either world.
        self.asynchronous = asynchronous
        self.make_queryset = queryset

    author: Any = cached_property(lambda self: Author.objects.earliest("pk"))
    publisher: Any = cached_property(lambda self: Publisher.objects.get())
    book: Any = cached_property(lambda self: Book.objects.earliest("pk"))
    tag: Any = cached_property(lambda self: Tag.objects.earliest("pk"))
    note: Any = cached_property(lambda self: Note.objects.get())

    # querysets

    books: Any = property(lambda self: Book.objects.order_by("pk"))
    queryset: Any = cached_property(lambda self: self.make_queryset(Book.objects.all()))
    prefetching: Any = cached_property(
        lambda self: self.books.prefetch_related("tags", "author", "notes")
    )
    values: Any = cached_property(lambda self: self.queryset.values("pk", "title"))
    values_list: Any = cached_property(
        lambda self: self.queryset.values_list("pk", "title")
    )
    flat: Any = cached_property(lambda self: self.queryset.values_list("pk", flat=True))
    named: Any = cached_property(
        lambda self: self.queryset.values_list("pk", "title", named=True)
    )
    dates: Any = cached_property(lambda self: Book.objects.dates("published", "year"))

    @cached_property
    def own_iterable(self) -> Any:
        found = self.books.values_list("pk")
        found._iterable_class = OwnIterable
        return found

    @cached_property
    def raw(self) -> Any:
        return Book.objects.raw(
            "SELECT *, pages + %s AS more FROM testapp_book ORDER BY id", [1]
        )

    raw_prefetching: Any = cached_property(
        lambda self: self.raw.prefetch_related("tags", "author")
    )

    # related managers

    reverse_fk: Any = cached_property(lambda self: self.publisher.books)
    m2m: Any = cached_property(lambda self: self.book.tags)
    reverse_m2m: Any = cached_property(lambda self: self.tag.books)
    through: Any = cached_property(lambda self: self.book.readers)
    generic: Any = cached_property(lambda self: self.book.notes)

    # pages

    @cached_property
    def paginator(self) -> Any:
        name = "AsyncPaginator" if self.asynchronous else "Paginator"
        kind = getattr(paginator, name, None)
        return kind and kind(self.books, 2)

    page: Any = cached_property(
        lambda self: self._page(self.books[:2]) if self.paginator else None
    )
    lazy_page: Any = cached_property(
        lambda self: (
            self._page(LazyBooks()) if self.asynchronous and self.paginator else None
        )
    )

    def _page(self, books: Any) -> Any:
        kind = paginator.AsyncPage if self.asynchronous else paginator.Page
        return kind(books, 1, self.paginator)

    @cached_property
    def signal(self) -> Any:
        signal = Signal()
        signal.connect(receiver)
        signal.connect(areceiver)
        return signal

    # users

    user: Any = cached_property(lambda self: User.objects.get(username="u"))

    anonymous = AnonymousUser()
    model_backend = ModelBackend()
    own_backend = OwnBackend()
    remote_backend = RemoteUserBackend()

    remote_middleware: Any = cached_property(
        lambda self: RemoteUserMiddleware(arespond if self.asynchronous else respond)
    )
    request: Any = cached_property(lambda self: make_request())

    @cached_property
    def logged_in(self) -> Any:
        made = make_request()
        auth.login(made, self.user)
        return made

    @cached_property
    def remote_request(self) -> Any:
        self.logged_in.META["REMOTE_USER"] = "u"
        return self.logged_in

    # sessions and caches

    session_db = stored(db.SessionStore)
    session_cached_db = stored(cached_db.SessionStore)
    session_cache = stored(cache.SessionStore)
    session_file = stored(file.SessionStore)
    session_signed_cookies = stored(signed_cookies.SessionStore)
    session_own = stored(OwnSessions)

    @cached_property
    def database_cache(self) -> Any:
        call_command("createcachetable", "tests_cache", verbosity=0)
        made = DatabaseCache("tests_cache", {})
        made.set_many({"n": 1, "text": "é"})
        return made


RELATED_MANAGERS = ("reverse_fk", "m2m", "reverse_m2m", "through", "generic")

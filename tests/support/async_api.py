"""Django's asynchronous API: every method, and how to call it in a `Targets`."""

from collections.abc import Callable
from typing import Any

from django.contrib.sessions.backends import cache, cached_db, db, file, signed_cookies
from django.contrib.sessions.backends.base import SessionBase
from django.db import models

from tests.testapp.models import Book

from .targets import PASSWORD, Targets

# Takes something to call and the world, and calls it with the method's arguments.
Call = Callable[[Any, Targets], Any]


def plain(*names: str) -> dict[str, Call]:
    """Return methods that are called without arguments."""
    return dict.fromkeys(names, lambda call, w: call())


def new_books(w: Targets) -> list[Book]:
    return [Book(title=title, author=w.author) for title in ("new", "newer")]


def again(w: Targets) -> list[Book]:
    return [Book(pk=w.book.pk, title="again", author=w.author)]


# Method -> its arguments. More cases of one method have a word after its name.
QUERYSET: dict[str, Call] = {
    **plain(
        *("__aiter__", "acount", "adelete", "aexists", "afirst", "ain_bulk all"),
        *("alast", "alatest by meta"),
    ),
    "aaggregate": lambda call, w: call(models.Count("pk"), top=models.Max("pages")),
    "abulk_create": lambda call, w: call(new_books(w)),
    "abulk_create batches": lambda call, w: call(new_books(w), batch_size=1),
    "abulk_create upsert": lambda call, w: call(
        again(w), update_conflicts=True, unique_fields=["pk"], update_fields=["title"]
    ),
    "abulk_create conflict": lambda call, w: call(again(w)),
    "abulk_create ignoring": lambda call, w: call(again(w), ignore_conflicts=True),
    "abulk_update": lambda call, w: call([w.book], ["title"]),
    "acontains": lambda call, w: call(w.book),
    "acontains unsaved": lambda call, w: call(Book()),
    "acreate": lambda call, w: call(title="new", author=w.author),
    "acreate incomplete": lambda call, w: call(title="no author"),
    "aearliest": lambda call, w: call("pk"),
    "aexplain": lambda call, w: call(costs=False),
    "aget": lambda call, w: call(pk=w.book.pk),
    "aget one": lambda call, w: call(),
    "aget none": lambda call, w: call(pk=-1),
    "aget_or_create": lambda call, w: call(title="new", author=w.author),
    "aget_or_create there": lambda call, w: call(pk=w.book.pk),
    "ain_bulk": lambda call, w: call([w.book.pk, -1]),
    "aiterator": lambda call, w: call(chunk_size=1),
    "aiterator more": lambda call, w: call(chunk_size=4),
    "alatest": lambda call, w: call("pk"),
    "aupdate": lambda call, w: call(title="other", pages=models.F("pages") + 1),
    "aupdate_or_create": lambda call, w: call(pk=w.book.pk, defaults={"title": "b"}),
    "aupdate_or_create new": lambda call, w: call(
        title="new", defaults={"pages": 7}, create_defaults={"author": w.author}
    ),
}
# A manager cannot be iterated and does not delete.
MANAGER = {k: v for k, v in QUERYSET.items() if k not in ("__aiter__", "adelete")}
ITERATION = {k: v for k, v in QUERYSET.items() if "iter" in k}


def related(
    new: Callable[[Any], Any], fields: Callable[[Any], dict[str, Any]], **extra: Any
) -> dict[str, Call]:
    """Return the calls of a related manager that can relate `new(world)`."""
    return {
        "aadd": lambda call, w: call(new(w), **extra),
        **plain("aclear", "acount"),
        "acreate": lambda call, w: call(**fields(w), **extra),
        "aget_or_create": lambda call, w: call(**fields(w), **extra),
        "aremove": lambda call, w: call(new(w)),
        "aset": lambda call, w: call([new(w)], **extra),
        "aupdate_or_create": lambda call, w: call(**fields(w), **extra),
    }


BOOKS = related(lambda w: w.book, lambda w: {"title": "new", "author": w.author})
PERMISSIONS: dict[str, Call] = {
    **plain("aget_all_permissions", "aget_group_permissions", "aget_user_permissions"),
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
    **plain(
        *("acache_key", "aclear_expired", "acreate", "acycle_key", "adelete"),
        *("adelete_test_cookie", "aflush", "aget_expire_at_browser_close"),
        *("aget_expiry_age", "aget_expiry_date", "aitems", "akeys", "aload", "asave"),
        *("aset_test_cookie", "atest_cookie_worked", "avalues"),
    ),
    "acreate_model_instance": lambda call, w: call({"a": 1}),
    "aexists": lambda call, w: call("x" * 32),
    "aget": lambda call, w: call("a"),
    "ahas_key": lambda call, w: call("a"),
    "apop": lambda call, w: call("a"),
    "aset": lambda call, w: call("b", 2),
    "aset_expiry": lambda call, w: call(60),
    "asetdefault": lambda call, w: call("c", 3),
    "aupdate": lambda call, w: call({"d": 4}),
}


def of_engine(engine: type[SessionBase]) -> dict[str, Call]:
    """Return the calls of SESSION that `engine` has: some know no cache."""
    return {name: call for name, call in SESSION.items() if hasattr(engine, name)}


CACHE: dict[str, Call] = {
    **plain("aclear", "aclose"),
    "aadd": lambda call, w: call("new", 1),
    "aadd there": lambda call, w: call("n", 2),
    "adecr": lambda call, w: call("n", 2),
    "adecr_version": lambda call, w: call("n"),
    "adelete": lambda call, w: call("n"),
    "adelete_many": lambda call, w: call(["n", "missing"]),
    "aget": lambda call, w: call("text"),
    "aget none": lambda call, w: call("missing", "default"),
    "aget_many": lambda call, w: call(["n", "text", "missing"]),
    "aget_or_set": lambda call, w: call("new", lambda: 3),
    "aget_or_set there": lambda call, w: call("n", 3),
    "ahas_key": lambda call, w: call("n"),
    "aincr": lambda call, w: call("n"),
    "aincr missing": lambda call, w: call("missing"),
    "aincr_version": lambda call, w: call("n"),
    "aset": lambda call, w: call("n", {"a": [1]}, timeout=60),
    "aset_many": lambda call, w: call({"n": 5, "new": 6}),
    "atouch": lambda call, w: call("n", 60),
}

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
    "raw": plain("__aiter__"),
    "raw_prefetching": plain("__aiter__"),
    "book": {
        **plain("adelete", "arefresh_from_db", "asave"),
        "adelete keeping": lambda call, w: call(keep_parents=True),
        "arefresh_from_db fields": lambda call, w: call(fields=["title", "author"]),
        "arefresh_from_db queryset": lambda call, w: call(
            from_queryset=Book.objects.filter(pages=-1)
        ),
        "asave fields": lambda call, w: call(update_fields=["title"]),
        "asave again": lambda call, w: call(force_insert=True),
    },
    "reverse_fk": BOOKS,
    "m2m": related(lambda w: w.tag, lambda w: {"name": "new"}),
    "reverse_m2m": BOOKS,
    "through": related(
        lambda w: w.author, lambda w: {"name": "new"}, through_defaults={"stars": 5}
    ),
    "generic": related(lambda w: w.note, lambda w: {"text": "new"}),
    "query_module": {
        "aprefetch_related_objects": lambda call, w: call([w.book], "tags", "author")
    },
    "shortcuts": {
        "aget_list_or_404": lambda call, w: call(Book, pk=w.book.pk),
        "aget_list_or_404 none": lambda call, w: call(w.queryset, pk=-1),
        "aget_object_or_404": lambda call, w: call(Book, pk=w.book.pk),
        "aget_object_or_404 none": lambda call, w: call(Book.in_shops, pk=-1),
    },
    "paginator": {
        **plain("__aiter__", "acount", "aget_elided_page_range", "anum_pages"),
        **plain("apage_range"),
        "aget_page": lambda call, w: call(2),
        "apage": lambda call, w: call(2),
        "avalidate_number": lambda call, w: call(2),
    },
    "page": plain(
        *("__aiter__", "aend_index", "aget_object_list", "ahas_next", "astart_index"),
        *("ahas_other_pages", "ahas_previous"),
        *("anext_page_number", "aprevious_page_number"),
    ),
    "lazy_page": plain("aget_object_list"),
    "signal": {
        "asend": lambda call, w: call(sender=None),
        "asend_robust": lambda call, w: call(sender=None),
    },
    "auth": {
        "aauthenticate": BACKEND["aauthenticate"],
        "acheck_password_with_timing_attack_mitigation": lambda call, w: call(
            w.user, PASSWORD
        ),
        "aget_user": lambda call, w: call(w.logged_in),
        "alogin": lambda call, w: call(w.request, w.user),
        "alogout": lambda call, w: call(w.logged_in),
        "aupdate_session_auth_hash": lambda call, w: call(w.logged_in, w.user),
    },
    "hashers": {"acheck_password": lambda call, w: call(PASSWORD, w.user.password)},
    "user": {
        **PERMISSIONS,
        "acheck_password": lambda call, w: call(PASSWORD),
        **plain("arefresh_from_db", "asave"),
    },
    "anonymous": PERMISSIONS,
    "users": {
        "acreate_superuser": lambda call, w: call("root", password=PASSWORD),
        "acreate_user": lambda call, w: call("new", password=PASSWORD),
        "aget_by_natural_key": lambda call, w: call("u"),
    },
    "groups": {"aget_by_natural_key": lambda call, w: call("g")},
    "model_backend": BACKEND
    | {"ahas_module_perms": lambda call, w: call(w.user, "testapp")},
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
    "database_cache": CACHE,
}
ALL = [(target, case) for target in CALLS for case in CALLS[target]]


def method_of(case: str) -> str:
    return case.partition(" ")[0]


def exists(world: Targets, target: str, case: str) -> bool:
    """Tell whether this Django has the method."""
    return hasattr(getattr(world, target), method_of(case))


def prepare(world: Targets, target: str, case: str) -> tuple[Any, Any, Any]:
    """Return what is called: target, positional and named arguments. May query."""
    args, named = CALLS[target][case](lambda *args, **named: (args, named), world)
    return getattr(world, target), args, named


async def call(case: str, target: Any, args: Any, named: Any) -> Any:
    """Call the asynchronous method; return its result, or its items."""
    found = getattr(target, method_of(case))(*args, **named)
    if hasattr(found, "__anext__"):
        return [each async for each in found]
    return await found

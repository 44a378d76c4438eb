"""Where requests come in: the ASGI application, its middleware and its views."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.urls import URLPattern, get_resolver
from django.utils.module_loading import import_string

from .. import conf
from ..requests.handler import Handler, ThreadedHandler
from ..requests.middleware import ConnectionMiddleware
from .findings import Finding, listed, note, ok, problem

_ONE_LINE = "in asgi.py: from django_async_fast.asgi import get_asgi_application"


def findings() -> Iterator[Finding]:
    """Yield how requests are served, and what in them needs a thread."""
    application = yield from _application()
    ours = isinstance(application, Handler | ThreadedHandler)
    on_loop = isinstance(application, Handler) and not application.in_threads
    yield from _middleware(ours)
    yield from _views(on_loop)


def _application() -> Any:
    path = getattr(settings, "ASGI_APPLICATION", None) or _usual_path()
    if path is None:
        yield note("no asgi.py beside ROOT_URLCONF, and no ASGI_APPLICATION", _ONE_LINE)
        return None
    try:
        application = import_string(path)
    except Exception as exc:
        yield problem(f"{path} cannot be imported: {exc!r}", "see its traceback")
        return None
    if isinstance(application, Handler):
        where = "in a thread each" if application.in_threads else "on the loop"
        yield ok(f"{path}: a block for each request, synchronous views {where}")
    elif isinstance(application, ThreadedHandler):
        yield note(
            f"{path}: a block for each request, synchronous views in a thread each",
            "install the compiled parts",
        )
    elif not isinstance(application, ASGIHandler):
        kind = type(application).__qualname__
        yield note(
            f"{path} is a {kind}: what it calls is not looked at",
            'its "http" and "lifespan" may be django_async_fast\'s application',
        )
    else:
        yield from _djangos(path)
    return application


def _djangos(path: str) -> Iterator[Finding]:
    paths = settings.MIDDLEWARE
    if any(_is_ours(each) for each in paths):
        yield ok(f"{path} is Django's; ConnectionMiddleware opens each view's block")
    else:
        yield note(
            f"{path} is Django's own application: its requests have no block", _ONE_LINE
        )


def _usual_path() -> str | None:
    urls = getattr(settings, "ROOT_URLCONF", None)
    if not isinstance(urls, str) or "." not in urls:
        return None
    module = urls.rpartition(".")[0] + ".asgi"
    return f"{module}.application" if find_spec(module) else None


def _middleware(ours: bool) -> Iterator[Finding]:
    blocking = set(conf.get("BLOCKING"))
    only_async: list[str] = []
    for path in settings.MIDDLEWARE:
        try:
            made = import_string(path)
        except ImportError as exc:
            yield problem(f"{path} cannot be imported: {exc}", "see MIDDLEWARE")
            continue
        if path in blocking:
            yield ok(f"{path} has a thread, as BLOCKING says")
        elif not getattr(made, "sync_capable", True):
            only_async.append(path)
        elif not getattr(made, "async_capable", False) and not ours:
            yield note(
                f"{path} is synchronous: Django gives it, and what is inside of it, a "
                "thread",
                _ONE_LINE,
            )
    if only_async:
        yield ok(f"{listed(only_async)}: asynchronous only, awaited")
    if ours and settings.MIDDLEWARE:
        on_loop = len(set(settings.MIDDLEWARE) - blocking)
        yield ok(f"{on_loop} of {len(settings.MIDDLEWARE)} middleware without a thread")


def _views(on_loop: bool) -> Iterator[Finding]:
    try:
        views = {*_patterns(get_resolver().url_patterns)}
    except Exception as exc:
        yield problem(f"ROOT_URLCONF cannot be imported: {exc!r}", "see its traceback")
        return
    awaited = sum(map(iscoroutinefunction, views))
    where = "on the loop" if on_loop else "in threads"
    rest = len(views) - awaited
    yield ok(f"{awaited} asynchronous views, awaited; {rest} synchronous ones, {where}")


def _patterns(patterns: Any) -> Iterator[Callable[..., Any]]:
    for each in patterns:
        if isinstance(each, URLPattern):
            yield each.callback
        else:
            yield from _patterns(each.url_patterns)


def _is_ours(path: str) -> bool:
    try:
        kind = import_string(path)
    except ImportError:
        return False
    return isinstance(kind, type) and issubclass(kind, ConnectionMiddleware)

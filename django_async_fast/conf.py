"""The package's settings, read from `settings.DJANGO_ASYNC_FAST` at their first use."""

from asyncio import AbstractEventLoop
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

DEFAULTS: dict[str, Any] = {
    # Whether what a coroutine does not await (`book.author`) waits for the database,
    # where the package drives the coroutine: "await", or "refuse" as Django does.
    "LAZY": "await",
    # Seconds a statement may wait for another task's atomic block on the same
    # connection before it raises ScopeTimeout. None waits for ever.
    "SCOPE_TIMEOUT": 30.0,
    # Middleware whose process_request() sets something on the request's connection.
    "CONNECTION_MIDDLEWARE": ["django_tenants.middleware.main.TenantMainMiddleware"],
    # Functions and modules, by dotted path, that `sync_to_async()` need not put in a
    # thread, in a block: they wait for nothing but the database.
    "BRIDGED": [],
    # Functions, views and middleware, by dotted path, that need one: see `blocking()`.
    "BLOCKING": [],
    # Seconds after which code that holds up the loop of requests is named in the log,
    # in production too. None does not look.
    "STALL_WATCH": None,
    # So many steps of querysets and statements are kept; 0 keeps none.
    "COMPILED_QUERIES": 2048,
    # Where get_asgi_application() runs synchronous views: "loop" or "thread".
    "SYNC": "loop",
    # Aliases whose driver is called in a thread, where the loop could wait for it
    # itself: a SQLite file on slow storage.
    "THREADED": [],
    # Aliases that `replicas.ReplicaRouter` reads on.
    "REPLICAS": [],
}

_read: dict[str, Any] = {}
# Django's settings as it keeps them, once they were asked for: asking costs a call.
_settings: dict[str, Any] = object.__getattribute__(settings, "__dict__")


def get(name: str) -> Any:
    """Return the setting `name`, or its default."""
    try:
        return _read[name]
    except KeyError:
        chosen = getattr(settings, "DJANGO_ASYNC_FAST", {})
        return _read.setdefault(name, chosen.get(name, DEFAULTS[name]))


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "DJANGO_ASYNC_FAST":
        _read.clear()


setting_changed.connect(_forget)


def debugging(loop: AbstractEventLoop) -> bool:
    """Tell whether what runs on `loop` is to be watched: Django's or its own debug."""
    debug: bool | None = _settings.get("DEBUG")
    return (settings.DEBUG if debug is None else debug) or loop.get_debug()

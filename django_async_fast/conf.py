"""The package's settings, read from `settings.DJANGO_ASYNC_FAST` when used."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from typing import Any

from django.conf import settings

DEFAULTS: dict[str, Any] = {
    # Seconds a statement may wait for another task's atomic block on the same
    # connection before it raises ScopeTimeout. None waits for ever.
    "SCOPE_TIMEOUT": 30.0,
    # Middleware whose process_request() sets something on the request's connection.
    "CONNECTION_MIDDLEWARE": ["django_tenants.middleware.main.TenantMainMiddleware"],
}


def get(name: str) -> Any:
    """Return the setting `name`, or its default."""
    return getattr(settings, "DJANGO_ASYNC_FAST", {}).get(name, DEFAULTS[name])


def debugging(loop: AbstractEventLoop) -> bool:
    """Tell whether what runs on `loop` is to be watched: Django's or its own debug."""
    return settings.DEBUG or loop.get_debug()

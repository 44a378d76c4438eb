"""The package's settings, read from `settings.DJANGO_ASYNC_FAST` when used."""

from __future__ import annotations

from typing import Any

from django.conf import settings

DEFAULTS: dict[str, Any] = {
    # Seconds a statement may wait for another task's atomic block on the same
    # connection before it raises ScopeTimeout. None waits for ever.
    "SCOPE_TIMEOUT": 30.0,
}


def get(name: str) -> Any:
    """Return the setting `name`, or its default."""
    return getattr(settings, "DJANGO_ASYNC_FAST", {}).get(name, DEFAULTS[name])

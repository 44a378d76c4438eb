"""Whether the app is installed, and what its settings say."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks as django_checks
from django.db import connections

from .. import checks, conf
from .findings import Finding, listed, note, ok, problem

_CHOICES = {"LAZY": ("await", "refuse"), "SYNC": ("loop", "thread")}


def findings() -> Iterator[Finding]:
    """Yield what INSTALLED_APPS, DJANGO_ASYNC_FAST and the system checks tell."""
    if apps.is_installed("django_async_fast"):
        yield ok("'django_async_fast' is in INSTALLED_APPS")
    else:
        yield problem(
            "'django_async_fast' is not in INSTALLED_APPS: nothing is switched on",
            'INSTALLED_APPS = [..., "django_async_fast"]',
        )
    yield from _settings(getattr(settings, "DJANGO_ASYNC_FAST", {}))
    for check in (checks.check_installation, checks.check_middleware):
        for found in check():
            if found.level >= django_checks.ERROR:
                yield problem(found.msg, found.hint or "see above")


def _settings(chosen: dict[str, Any]) -> Iterator[Finding]:
    if unknown := chosen.keys() - conf.DEFAULTS.keys():
        yield problem(
            f"DJANGO_ASYNC_FAST has what is no setting: {listed(unknown)}",
            f"the settings are {', '.join(sorted(conf.DEFAULTS))}",
        )
    for name, choices in _CHOICES.items():
        if conf.get(name) not in choices:
            words = " or ".join(f'"{each}"' for each in choices)
            yield problem(f"{name} is {conf.get(name)!r}", f"{name} is {words}")
    if absent := set(conf.get("THREADED")) - set(connections.settings):
        yield problem(
            f"THREADED names aliases that DATABASES has not: {listed(absent)}",
            f"DATABASES has {listed(connections.settings)}",
        )
    if conf.get("STALL_WATCH") is None:
        yield note(
            "nobody would tell which code holds up the event loop in production",
            'DJANGO_ASYNC_FAST = {"STALL_WATCH": 0.25}',
        )

"""System checks: what is missing, before the first query finds out."""

from contextlib import closing, suppress
from typing import Any

from django.conf import settings
from django.core.checks import Error, Tags, Warning, register
from django.db import DatabaseError, connections
from django.utils.module_loading import import_string

from . import _native
from .connections import poolers
from .drivers.psycopg.requirements import psycopg_problem


@register  # type: ignore[untyped-decorator]
def check_installation(app_configs: Any = None, **kwargs: Any) -> list[Any]:
    """Report a psycopg that is too old, and missing compiled parts."""
    found: list[Any] = []
    if problem := psycopg_problem():
        found.append(Error(problem, id="django_async_fast.E001"))
    if not _native.COMPILED:
        found.append(
            Warning(
                "The compiled core is not in use: rows are built by Django's own "
                f"code. ({_native.REASON})",
                hint="Install a wheel, or a C compiler and cargo, and reinstall.",
                id="django_async_fast.W001",
            )
        )
    return found


@register  # type: ignore[untyped-decorator]
def check_middleware(app_configs: Any = None, **kwargs: Any) -> list[Any]:
    """Report middleware that prepares a connection before there is a block."""
    from .requests.middleware import ConnectionMiddleware
    from .requests.prepared_connection import prepares

    before: list[str] = []
    for path in settings.MIDDLEWARE:
        kind: Any = None
        with suppress(ImportError):
            kind = import_string(path)
        if isinstance(kind, type) and issubclass(kind, ConnectionMiddleware):
            return [_comes_too_late(each) for each in before]
        if isinstance(kind, type) and prepares(kind):
            before.append(path)
    return []


def _comes_too_late(path: str) -> Any:
    return Error(
        f"{path} prepares the connection of a request before ConnectionMiddleware "
        "opens the request's block: asynchronous views would not see it.",
        hint="Put django_async_fast.middleware.ConnectionMiddleware first.",
        id="django_async_fast.E002",
    )


@register(Tags.database)  # type: ignore[untyped-decorator]
def check_poolers(databases: Any = None, **kwargs: Any) -> list[Any]:
    """Report what a pooler before a database does not go with. Connects to it."""
    found: list[Any] = []
    for alias in databases or ():
        wrapper = poolers.wrapper_without_pool(connections.settings[alias], alias)
        if wrapper.vendor != "postgresql":
            continue
        # One that does not answer is told of by whoever needs it.
        with closing(wrapper), suppress(DatabaseError):
            if (pooler := poolers.before(wrapper)) is not None:
                found += [_unsafe(alias, each) for each in pooler.unsafe]
    return found


def _unsafe(alias: str, found: poolers.Unsafe) -> Any:
    kind, letter = (Error, "E") if found.certain else (Warning, "W")
    return kind(
        f"{alias}: {found.text}.",
        hint=f"{found.remedy[0].upper()}{found.remedy[1:]}.",
        id=f"django_async_fast.{letter}{found.number:03}",
    )

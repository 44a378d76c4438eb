"""An app that watches what others do, as caching and tracing tools do."""

from collections.abc import Callable
from functools import wraps
from typing import Any

seen: list[str] = []


def watch(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def inner(*args: Any, **kwargs: Any) -> Any:
        seen.append(name)
        return original(*args, **kwargs)

    return inner


def patch() -> None:
    from django.db.models import QuerySet
    from django.db.transaction import Atomic

    Atomic.__enter__ = watch("enter", Atomic.__enter__)
    Atomic.__exit__ = watch("exit", Atomic.__exit__)
    QuerySet.get = watch("get", QuerySet.get)


def unpatch() -> None:
    from django.db.models import QuerySet
    from django.db.transaction import Atomic

    Atomic.__enter__ = Atomic.__enter__.__wrapped__
    Atomic.__exit__ = Atomic.__exit__.__wrapped__
    QuerySet.get = QuerySet.get.__wrapped__

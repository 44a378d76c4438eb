"""What the synchronous chain calls for a view: in threads, driven, in transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, wraps
from types import ModuleType
from typing import Any

from asgiref.sync import AsyncToSync, iscoroutinefunction
from asgiref.sync import sync_to_async as threaded
from django.db import connections
from django.db.transaction import Atomic

from .. import bridge
from ..bridge import driving
from .request_block import in_request


def adapted(view: Callable[..., Any], in_threads: bool) -> Callable[..., Any]:
    """Return what the synchronous chain calls for `view`."""
    if iscoroutinefunction(view):
        return DrivenView(view)
    return in_thread(view) if in_threads else view


# Not asked again for each request. By view, as many as most sites have.
adapted_once = lru_cache(maxsize=1024)(adapted)


class DrivenView:
    """An `async def` view, as Django has it of `async_to_sync()`."""

    __slots__ = ("view",)

    def __init__(self, view: Callable[..., Any]) -> None:
        self.view = view

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if bridge.can_wait():
            made = self.view(*args, **kwargs)
            # An asynchronous view is no unit. It is part of one where the middleware
            # around it has asked something before.
            if bridge.getcurrent().holds_nothing() and driving.drives(made):
                return bridge.drive_alone(made)
            return driving.await_driven(made)
        return AsyncToSync(self.view)(*args, **kwargs)


def in_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` as a synchronous one that waits for its thread."""
    call = threaded(function, thread_sensitive=True)

    @wraps(function, updated=())
    def inner(*args: Any, **kwargs: Any) -> Any:
        return bridge.await_(call(*args, **kwargs))

    return inner


def seams(handlers: ModuleType) -> Iterator[tuple[Any, str, Any]]:
    """Yield what is replaced in Django's module of handlers: owner, name, by what."""
    django_make_view_atomic = handlers.BaseHandler.make_view_atomic
    is_coroutine_function = handlers.iscoroutinefunction

    def make_view_atomic(self: Any, view: Callable[..., Any]) -> Any:
        """`BaseHandler.make_view_atomic`: ATOMIC_REQUESTS for an asynchronous view."""
        try:
            return django_make_view_atomic(self, view)
        except RuntimeError:  # which is how it refuses one
            if not in_request() or not iscoroutinefunction(view):
                raise
        return _atomic_requests(view)

    def asked(function: Any) -> bool:
        # To look inside of it takes Python ten calls, each time that it is called.
        return type(function) is not DrivenView and is_coroutine_function(function)

    yield handlers.BaseHandler, "make_view_atomic", make_view_atomic
    yield handlers, "iscoroutinefunction", asked


def _atomic_requests(view: Callable[..., Any]) -> Any:
    """Return the `async def` view in the transactions that ATOMIC_REQUESTS asks for."""
    non_atomic_requests: set[str] = getattr(view, "_non_atomic_requests", set())
    for alias, settings in connections.settings.items():
        if settings["ATOMIC_REQUESTS"] and alias not in non_atomic_requests:
            view = Atomic(alias, True, False)(view)
    return view

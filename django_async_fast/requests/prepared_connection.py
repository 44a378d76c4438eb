"""Middleware that prepares the request's connection prepares the block's as well.

django-tenants sets the schema of a request so. Its middleware runs in the request's
thread, on Django's connection there, which synchronous views use; asynchronous ones use
the block's.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from asgiref.sync import AsyncToSync, SyncToAsync
from django.utils.deprecation import MiddlewareMixin

from .. import bridge, conf
from ..connections.blocks import open_block

django_init = MiddlewareMixin.__init__


def initialise(self: Any, get_response: Any) -> None:
    """`MiddlewareMixin.__init__`: what is listed runs for the block too."""
    django_init(self, get_response)
    if prepares(type(self)):
        self.process_request = partial(_prepare, self.process_request)


def prepares(kind: type[Any]) -> bool:
    """Tell whether a class of middleware is in CONNECTION_MIDDLEWARE, or its base."""
    names = {f"{each.__module__}.{each.__qualname__}" for each in kind.__mro__}
    return not names.isdisjoint(conf.get("CONNECTION_MIDDLEWARE"))


def _prepare(process_request: Callable[[Any], Any], request: Any) -> Any:
    response = process_request(request)
    loop = getattr(SyncToAsync.threadlocal, "main_event_loop", None)
    # Only in a thread that works for a block, and not where it has just been prepared.
    if response is not None or loop is None or bridge.in_bridge():
        return response
    if open_block(loop) is None:
        return response
    return AsyncToSync(bridge.run)(process_request, request)

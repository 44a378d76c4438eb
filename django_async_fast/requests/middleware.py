"""A middleware that gives each asynchronous request a block of its own."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import (
    async_to_sync,
    iscoroutinefunction,
    markcoroutinefunction,
    sync_to_async,
)
from django.core.handlers.asgi import ASGIRequest

from .awaited_requests import respond
from .request_block import in_request


class ConnectionMiddleware:
    """Give each asynchronous request connections of its own.

    First in MIDDLEWARE, so that other middleware is inside. Synchronous views
    and WSGI are served as they were.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self.is_async:
            return respond(self.get_response, request)
        if isinstance(request, ASGIRequest) and not in_request():
            # Synchronous middleware further in has put this one in a thread
            # too; the view is awaited on the server's loop all the same.
            get_response = sync_to_async(self.get_response)
            return async_to_sync(respond)(get_response, request, thread_waits=True)
        return self.get_response(request)

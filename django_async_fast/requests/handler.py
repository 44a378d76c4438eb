"""`get_asgi_application()`: a whole request on the event loop.

Django's synchronous chain of middleware and view runs in one bridged call, in a block
of the request's own and with thread-locals of its own. What in it is asynchronous is
driven inside. Signals, request and response are handled by Django's own methods.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial, wraps
from types import FunctionType
from typing import Any, TypeAlias

from asgiref.sync import (
    AsyncToSync,
    SyncToAsync,
    ThreadSensitiveContext,
    iscoroutinefunction,
)
from asgiref.sync import sync_to_async as threaded
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers import asgi
from django.core.handlers.asgi import ASGIHandler
from django.http import FileResponse, StreamingHttpResponse

from .. import _native, bridge
from ..bridge.thread_local_values import own_thread_locals
from ..pages import responses
from ..unpatched import Unpatched, is_like
from . import lifespan
from .awaited_requests import respond
from .clients import Client, Clients
from .receivers import OF_CONNECTIONS, OnlyReceivers
from .request_block import BridgedRequest
from .views import adapted, adapted_once, in_thread

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]

_END: Any = object()
# What Django's handler awaits around its chain, which has nothing to wait for here.
_AWAITED = "run_get_response", "get_response_async"
# By what a streaming response is iterated over: some make more of it than its parts.
_ITERATED = "__aiter__", "streaming_content"

_started = OnlyReceivers(signals.request_started, *OF_CONNECTIONS)


class _Served(ASGIHandler):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan.serve(receive, send)
        else:
            await super().__call__(scope, receive, send)


class Handler(_Served):
    """Django's ASGIHandler, each request in one bridged call.

    With `in_threads` synchronous views run in threads, as Django's handler has it.
    """

    def __init__(self, in_threads: bool = False) -> None:
        self.in_threads = in_threads
        # As receivers have been connected to it.
        self._sender = ASGIHandler if type(self) is Handler else type(self)
        self._clients: Clients | None = None
        # Where nothing in between can wait, and nothing has to be driven.
        self._synchronous = Unpatched((type(self), ASGIHandler, _AWAITED))
        self._reads_body = Unpatched((type(self), ASGIHandler, ("read_body",)))
        sending = "send_response", "chunk_bytes", "chunk_size"
        self._sends = Unpatched((type(self), ASGIHandler, sending))
        self._enters = Unpatched(
            (type(self), ASGIHandler, ("__call__",)),
            (ThreadSensitiveContext, ThreadSensitiveContext),
        )
        super().__init__()

    # ----- the chain

    def load_middleware(self, is_async: bool = False) -> None:
        """Load the synchronous chain, whichever is asked for."""
        super().load_middleware(is_async=False)
        # After those of the middleware: the next is Django's call of `render()`.
        self._template_response_middleware.append(self._awaited_render)

    def _awaited_render(self, request: Any, response: Any) -> Any:
        """Return `response`, whose `render()` may be an `async def`, to be called."""
        if iscoroutinefunction(response.render):
            response.render = AsyncToSync(response.render)
        return response

    def adapt_method_mode(
        self,
        is_async: bool,
        method: Any,
        method_is_async: bool | None = None,
        debug: bool = False,
        name: str | None = None,
    ) -> Any:
        """Adapt as Django does; what asynchronous middleware awaits needs no thread."""
        if method_is_async is None:
            method_is_async = iscoroutinefunction(method)
        if is_async and not method_is_async:
            return _bridged(method)
        return super().adapt_method_mode(is_async, method, method_is_async, debug, name)

    def make_view_atomic(self, view: Callable[..., Any]) -> Any:
        """Wrap the view as Django does; an `async def` is driven from there."""
        atomic = super().make_view_atomic(view)
        if atomic is view and type(view) is FunctionType:
            return adapted_once(view, self.in_threads)
        return adapted(atomic, self.in_threads)

    async def get_response_async(self, request: Any) -> Any:
        """Return the response of the synchronous chain, for `run_get_response()`."""
        if bridge.in_coroutine():
            return await bridge.run(self.get_response, request)
        return self.get_response(request)

    # ----- one request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a thread for the request, as Django; most never ask for one."""
        threads = SyncToAsync.thread_sensitive_context
        if (
            scope["type"] != "http"
            or threads.get(None) is not None
            or not self._enters.holds()
        ):
            await super().__call__(scope, receive, send)
            return
        context: Any = ThreadSensitiveContext()
        context.token = threads.set(context)
        try:
            await self.handle(scope, receive, send)
        finally:
            executors: Any = SyncToAsync.context_to_thread_executor
            # Most often it is empty, and asgiref's has a call for each question.
            if executors.data and context in executors:
                await context.__aexit__(None, None, None)
            else:
                threads.reset(context.token)

    async def read_body(self, receive: Receive) -> Any:
        """Return the body as a file; most are empty or short, and in one message.

        For others Django has one that may go to disk, which costs more to make.
        """
        message = await receive()
        if (
            message["type"] == "http.request"
            and not message.get("more_body", False)
            and self._reads_body.holds()
            and _is_pythons(asgi.tempfile.SpooledTemporaryFile)
        ):
            body = message.get("body", b"")
            if type(body) is bytes and (not body or _stays_in_memory(body)):
                return io.BytesIO(body)
        return await super().read_body(_again(message, receive))

    async def send_response(self, response: Any, send: Send) -> None:
        """Send a response as Django does; its headers are encoded in a step."""
        asked = "chunk_bytes" in vars(self) or not self._sends.holds()
        headers = None if asked else responses.encoded_headers(response)
        if not headers:
            await super().send_response(response, send)
            return
        start, body = "http.response.start", "http.response.body"
        status = response.status_code
        await send({"type": start, "status": status, "headers": headers})
        content = response.content
        if type(content) is bytes and len(content) <= type(self).chunk_size:
            await send({"type": body, "body": content, "more_body": False})
            return
        for chunk, last in self.chunk_bytes(content):
            await send({"type": body, "body": chunk, "more_body": not last})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. Django's needs a task group, and threads for the signals."""
        try:
            body_file = await self.read_body(receive)
        except RequestAborted:
            return
        loop = asyncio.get_running_loop()
        clients = self._clients
        if clients is None or clients.loop is not loop:
            clients = self._clients = Clients(loop)
        client = Client(clients, partial(self.listen_for_disconnect, receive))
        try:
            with client, own_thread_locals():
                served = BridgedRequest(f"{scope['method']} {scope['path']}")
                await bridge.run(self._serve, served, scope, body_file, send, client)
        finally:
            body_file.close()

    def _serve(
        self,
        served: BridgedRequest,
        scope: Scope,
        body_file: Any,
        send: Send,
        client: Client,
    ) -> None:
        response = None
        try:
            with served:
                response = self._respond(served, scope, body_file)
                streaming = response.streaming
                if streaming:
                    self._stream(response, send, client)
            # Its connections are given back: the client may take its time.
            if not streaming:
                bridge.drive_alone(self.send_response(response, send))
                client.serve()
        except RequestAborted:  # who sends says that the client has left
            if response is None:
                raise
        finally:
            with served:
                self._close(response)

    def _close(self, response: Any) -> None:
        if response is None:
            close: Any = partial(signals.request_finished.send, self._sender)
        else:
            close = response.close
        # Where the request has used a thread, Django's own connections that it has
        # opened in there are to be found by the signal's receivers.
        executors: Any = SyncToAsync.context_to_thread_executor
        context = SyncToAsync.thread_sensitive_context.get(None)
        if executors.data and context in executors and bridge.can_wait():
            close = in_thread(close)
        close()

    def _respond(self, served: BridgedRequest, scope: Scope, body_file: Any) -> Any:
        asgi.set_script_prefix(asgi.get_script_prefix(scope))
        if served.block.wrappers or not _started.hold():
            signals.request_started.send(sender=self._sender, scope=scope)
        request, response = self.create_request(scope, body_file)
        if request is None:
            return response
        if not (self._synchronous.holds() and vars(self).keys().isdisjoint(_AWAITED)):
            return bridge.drive_alone(self.run_get_response(request))
        try:
            response = self.get_response(request)
        finally:
            # Its turn with the connection is over, as that of a call.
            bridge.getcurrent().end_call()
        response._handler_class = self._sender
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        return response

    def _stream(self, response: Any, send: Send, client: Client) -> None:
        if not getattr(response, "is_async", True) and is_like(
            type(response), StreamingHttpResponse, _ITERATED
        ):
            # Django makes a list of the parts first, in a thread.
            source = getattr(response, "file_to_stream", None)
            response._iterator = _parts(response._iterator, source)
            response.is_async = True
        parts = getattr(response, "_iterator", None)
        try:
            bridge.drive(self.send_response(response, send))
            client.serve()
        finally:
            # Django leaves it to the collector, which would be after the block.
            if hasattr(parts, "aclose") and bridge.can_wait():
                bridge.drive(_close(parts))


class ThreadedHandler(_Served):
    """Django's ASGIHandler with a block for each request, where nothing is compiled.

    Thread-locals cannot be exchanged, so that requests must not take turns in a thread.
    """

    async def get_response_async(self, request: Any) -> Any:
        """Return the response of Django's asynchronous chain."""
        return await respond(super().get_response_async, request)


def make(sync: str) -> ASGIHandler:
    """Return the handler for `sync`: views on the "loop", or in a "thread"."""
    if sync not in ("loop", "thread"):
        raise ValueError(f'sync must be "loop" or "thread", not {sync!r}')
    if not _native.COMPILED:
        return ThreadedHandler()
    return Handler(in_threads=sync == "thread")


def _is_pythons(file: Any) -> bool:
    """Tell whether the class of Django's files is not somebody else's."""
    return isinstance(file, type) and file.__module__ == "tempfile"


def _stays_in_memory(body: bytes) -> bool:
    # Where it is 0 or None, no body goes to disk: that is for Django's file to know.
    return len(body) <= (settings.FILE_UPLOAD_MAX_MEMORY_SIZE or 0)


def _again(message: Any, receive: Receive) -> Receive:
    """Return a `receive` that gives `message` first."""
    first = [message]

    async def inner() -> Any:
        return first.pop() if first else await receive()

    return inner


def _bridged(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    @wraps(function)
    async def inner(*args: Any, **kwargs: Any) -> Any:
        return await bridge.run(function, *args, **kwargs)

    return inner


async def _parts(parts: Iterator[Any], source: Any) -> AsyncIterator[Any]:
    """Yield the parts of a synchronous iterator, which come from the file `source`."""
    # As Django has it for all of them: files are read in a thread.
    if source is None or isinstance(source, io.BytesIO):
        take: Callable[..., Awaitable[Any]] = _bridged(next)
    else:
        take = threaded(next, thread_sensitive=True)
    while (part := await take(parts, _END)) is not _END:
        yield part


async def _close(parts: Any) -> None:
    await parts.aclose()

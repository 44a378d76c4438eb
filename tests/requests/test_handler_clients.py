"""Clients that leave, and servers that cancel or destroy a request."""

import asyncio
import contextvars
from functools import partial
from typing import Any

import django
import pytest
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished
from django.http import HttpResponse

from django_async_fast.asgi import get_asgi_application
from django_async_fast.bridge import driving
from django_async_fast.requests import clients
from tests.support.request_sessions import States, gone
from tests.support.signals import receiving
from tests.support.tags import tags

from .exchanges import Exchange
from .handler_site import seen

pytestmark = pytest.mark.usefixtures("served")


async def end(exchange: Exchange, task: asyncio.Task[Any], how: str) -> None:
    """Let the client go, or the server cancel the request."""
    if how == "leaves":
        exchange.left.set()
        await task
    else:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("url", ["/waits", "/waits_async"])
@pytest.mark.parametrize("how", ["leaves", "is cancelled"])
async def test_what_the_view_waits_for_is_cancelled(
    url: str, how: str, sessions: States, finished: list[Any]
) -> None:
    seen["inside"] = asyncio.Event()
    exchange = Exchange(get_asgi_application(), url)
    task = exchange.start()
    await seen["inside"].wait()
    await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        await end(exchange, task, how)
    assert exchange.sent == []
    assert len(finished) == 1
    assert seen.get("cancelled", False) is (url == "/waits_async")
    await gone(sessions, 5)
    assert await tags() == []


@pytest.mark.parametrize("how", ["leaves", "is cancelled"])
async def test_a_stream_ends_in_its_block_when_the_client_leaves(
    how: str, sessions: States, finished: list[Any]
) -> None:
    exchange = Exchange(get_asgi_application(), "/endless")
    task = exchange.start()
    await exchange.first_byte.wait()
    await end(exchange, task, how)
    assert seen["stream closed"] == 0
    assert len(finished) == 1
    await gone(sessions, 5)


async def test_a_request_without_a_body_to_the_end(finished: list[Any]) -> None:
    exchange = Exchange(get_asgi_application(), "/plain", [])
    exchange.left.set()
    await exchange.run()
    assert exchange.sent == []
    assert finished == []


async def test_only_whoever_waits_is_listened_to() -> None:
    quick, slow = (Exchange(get_asgi_application(), "/sleeps") for _ in range(2))
    quick.application.get_response = lambda request: HttpResponse("at once")
    asked: list[Exchange] = []
    told = contextvars.ContextVar("told", default=0)
    seen["inside"] = asyncio.Event()

    async def listen(exchange: Exchange) -> dict[str, Any]:
        if not exchange.bodies:
            asked.append(exchange)
            assert told.get() == 7
        return await Exchange.receive(exchange)

    for each in (quick, slow):
        each.receive = partial(listen, each)  # type: ignore[method-assign]
    told.set(7)
    await quick.run()
    await asyncio.sleep(3 * clients.PAUSE)
    assert (quick.status, asked) == (200, [])
    task = slow.start()
    await asyncio.sleep(3 * clients.PAUSE)
    assert asked == [slow]
    slow.left.set()
    await asyncio.wait_for(task, 5)


async def test_a_client_with_the_whole_response_has_not_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def closing(**kwargs: Any) -> None:
        seen["exchange"].left.set()
        await asyncio.sleep(0.05)
        seen["closed"] = True

    application = get_asgi_application()
    application.get_response = lambda request: HttpResponse(
        str(driving.await_driven(asyncio.sleep(3 * clients.PAUSE, "late")))
    )
    exchange = seen["exchange"] = Exchange(application, "/sleeps")
    with receiving(closing, request_finished):
        await exchange.run()
    await asyncio.sleep(0.05)
    assert (exchange.body, seen["closed"], caplog.records) == (b"late", True, [])


async def test_a_client_leaves_and_the_server_cancels_as_well() -> None:
    async def ask(times: int) -> tuple[bool, int]:
        exchange = Exchange(get_asgi_application(), "/sleeps")
        seen["inside"] = asyncio.Event()
        task = exchange.start()
        await asyncio.wait_for(seen["inside"].wait(), 5)
        await asyncio.sleep(3 * clients.PAUSE)
        exchange.left.set()
        for _ in range(times):
            # After the listener has ended, before the view is told.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task], timeout=5)
        return task.cancelled(), task.cancelling()

    assert await ask(0) == (False, 0)
    assert await ask(1) == (True, 1)


@pytest.mark.skipif(django.VERSION < (6, 1), reason="Django lets the error out")
@pytest.mark.parametrize("url", ["/plain", "/large", "/described", "/stream_async"])
async def test_who_sends_may_say_that_the_client_has_left(
    url: str, finished: list[Any]
) -> None:
    async def left(message: Any) -> None:
        raise RequestAborted

    for count, application in enumerate((ASGIHandler(), get_asgi_application()), 1):
        exchange = Exchange(application, url)
        exchange.send = left  # type: ignore[method-assign]
        await exchange.run()
        assert len(finished) == count


async def test_a_message_after_the_body_is_an_error() -> None:
    async def wrong(exchange: Exchange) -> None:
        seen["inside"] = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if exchange.bodies:
                return {"type": "http.request", "body": exchange.bodies.pop()}
            await seen["inside"].wait()
            return {"type": "http.request", "body": b""}

        exchange.receive = receive  # type: ignore[method-assign]
        await exchange.run()

    for application in (ASGIHandler(), get_asgi_application()):
        with pytest.raises(AssertionError, match="Invalid ASGI message"):
            await wrong(Exchange(application, "/sleeps"))


async def test_an_error_in_the_middle_of_a_stream(
    sessions: States, finished: list[Any]
) -> None:
    exchange = Exchange(get_asgi_application(), "/stream_failing")
    with pytest.raises(ValueError, match="in the stream"):
        await exchange.run()
    assert exchange.body == b"one"
    assert len(finished) == 1
    await gone(sessions, 5)


def test_a_destroyed_request_leaves_nothing(
    sessions: States, finished: list[Any]
) -> None:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)

    exchange = Exchange(get_asgi_application(), "/waits_async")
    call = exchange.application(exchange.scope, exchange.receive, exchange.send)
    context = contextvars.copy_context()

    async def until_it_waits() -> None:
        seen["inside"] = asyncio.Event()
        seen["task"] = loop.create_task(call, context=context)
        await seen["inside"].wait()

    loop.run_until_complete(until_it_waits())
    loop.close()
    context.run(call.close)
    assert len(finished) == 1
    asyncio.run(gone(sessions, 5))
    assert asyncio.run(tags()) == []

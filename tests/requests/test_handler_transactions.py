"""ATOMIC_REQUESTS, on_commit, and transactions that a view leaves open."""

import pytest
from django.core.handlers.base import BaseHandler

from tests.support.noted import noted
from tests.support.request_sessions import States
from tests.support.tags import tags

from . import handler_site
from .exchanges import Noting, get
from .handler_site import plain, plain_async, seen

pytestmark = pytest.mark.usefixtures("served")


@pytest.mark.usefixtures("atomic_requests")
@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("/failing", []),
        ("/failing_async", []),
        ("/failing_non_atomic", ["failing"]),
        ("/on_commit", ["committed"]),
    ],
)
async def test_atomic_requests(url: str, left: list[str]) -> None:
    seen["order"] = []
    await get(url)
    assert await tags() == left


@pytest.mark.parametrize("url", ["/plain", "/plain_async"])
async def test_who_wraps_views_sees_both_kinds(url: str) -> None:
    with noted(BaseHandler, "make_view_atomic") as wrapped:
        assert (await get(url)).status == 200
    ((_, view),) = wrapped
    assert view is (plain_async if "async" in url else plain)


async def test_on_commit_runs_before_the_response_is_sent() -> None:
    seen["order"] = []
    await Noting("/on_commit", seen["order"].append).run()
    parts = "http.response.start", "http.response.body"
    assert seen["order"] == ["view", "commit", *parts]


async def test_a_transaction_left_open_is_rolled_back_and_named(
    caplog: pytest.LogCaptureFixture, sessions: States
) -> None:
    open_: list[list[str]] = []

    def note(message: str) -> None:
        open_.append([state for state in sessions() if "transaction" in state])

    exchange = await Noting("/left_open", note).run()
    assert exchange.status == 200
    assert open_ == [[], []]
    assert "GET /left_open left a transaction on 'default' open" in caplog.text
    assert handler_site.__file__ in caplog.text
    assert await tags() == []


async def test_a_path_in_the_warning_begins_no_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await get("/left_open\nforged")
    assert "GET /left_open\\nforged left a transaction" in caplog.text

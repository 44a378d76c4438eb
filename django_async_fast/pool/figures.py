"""The figures of the pools of blocks, for logs, pages of health and metrics."""

from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from . import loop_pool, times


class PoolStats(NamedTuple):
    """The figures of an alias's pools in this process: one for each event loop.

    Sizes are of now; what follows `waiting` has been counted since the pools opened.
    """

    #: Connections that are kept, and allowed, at least and at most.
    min_size: int
    max_size: int
    #: Connections that there are or are being opened; those that wait for a block,
    #: and those that blocks have.
    size: int
    idle: int
    used: int
    #: Requests that wait for a connection now.
    waiting: int
    #: Requests for a connection; those that had to wait, and all their milliseconds.
    requests: int
    queued: int
    wait_ms: int
    #: Requests that got none in time, or were broken off.
    failed: int
    #: Connections opened, attempts that failed, and connections found unfit for use
    #: when they were asked for or came back.
    opened: int
    not_opened: int
    reset: int


def pool_stats() -> dict[str, PoolStats]:
    """Return the figures of the pools that blocks have used, by alias.

    Those of all event loops of the process, closed ones excepted.
    """
    return {
        alias: PoolStats(
            min_size=found["pool_min"],
            max_size=found["pool_max"],
            size=found["pool_size"],
            idle=found["pool_available"],
            used=found["used"],
            waiting=found["requests_waiting"],
            requests=found["requests_num"],
            queued=found["requests_queued"],
            wait_ms=found["requests_wait_ms"],
            failed=found["requests_errors"],
            opened=found["connections_num"],
            not_opened=found["connections_errors"],
            reset=found["connections_lost"] + found["returns_bad"],
        )
        for alias, found in _counted().items()
    }


def _counted() -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for entry in loop_pool.open_pools():
        found.setdefault(entry.alias, Counter()).update(entry.figures())
    return found


# OpenTelemetry's semantic conventions for database clients: name, unit, what it is.
_SIZES: dict[str, tuple[str, str, Callable[[PoolStats], int]]] = {
    "max": ("connection", "Connections allowed at most.", lambda it: it.max_size),
    "idle.max": ("connection", "Idle ones at most.", lambda it: it.max_size),
    "idle.min": ("connection", "Idle ones at least.", lambda it: it.min_size),
    "pending_requests": ("request", "Requests that wait.", lambda it: it.waiting),
}


def observe() -> None:
    """Give the figures to OpenTelemetry as `db.client.connection.*`, if it is there.

    Its API collects nothing by itself: who has set up a reader gets them.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.metrics") is None:
        return
    loop_pool.make_entry = times.entry
    metrics = import_module("opentelemetry.metrics")
    meter = metrics.get_meter("django_async_fast")

    def observed(figure: Callable[[PoolStats], int], **more: str) -> Iterator[Any]:
        for alias, found in pool_stats().items():
            attributes = {"db.client.connection.pool.name": alias}
            for name, value in more.items():
                attributes[f"db.client.connection.{name}"] = value
            yield metrics.Observation(figure(found), attributes)

    def by_state(options: Any) -> Iterator[Any]:
        yield from observed(lambda it: it.idle, state="idle")
        yield from observed(lambda it: it.used, state="used")

    def by(figure: Callable[[PoolStats], int]) -> Callable[[Any], Iterator[Any]]:
        return lambda options: observed(figure)

    meter.create_observable_up_down_counter(
        "db.client.connection.count",
        [by_state],
        "{connection}",
        "Connections that there are, by state.",
    )
    for name, (unit, text, figure) in _SIZES.items():
        meter.create_observable_up_down_counter(
            f"db.client.connection.{name}", [by(figure)], f"{{{unit}}}", text
        )
    meter.create_observable_counter(
        "db.client.connection.timeouts",
        [by(lambda it: it.failed)],
        "{timeout}",
        "Requests that got no connection in time, or were broken off.",
    )

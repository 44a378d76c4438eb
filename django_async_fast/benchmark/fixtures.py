"""The fixtures `bench_queryset` and `bench_request`, and the table after a run."""

import platform
import sysconfig
from collections.abc import Callable, Mapping
from importlib.metadata import version
from statistics import median
from typing import Any

import pytest

ROUNDS = 15

_found = pytest.StashKey[dict[str, Any]]()


@pytest.fixture
def bench_queryset(
    _async_transactional_db_ready: None, request: pytest.FixtureRequest
) -> Callable[..., None]:
    """Return a function that measures how long the rows of a queryset take.

    `bench_queryset(make, rounds=15, times=20)`: `make()` returns a queryset, whose rows
    are read by `async for`, in stock Django and in a block. Fails if they differ.
    """

    def measure(make: Callable[[], Any], rounds: int = ROUNDS, times: int = 20) -> None:
        from .rounds import Operation

        async def rows() -> list[Any]:
            return [row async for row in make()]

        _measure(request, Operation(lambda who: rows), "queryset", rounds, times)

    return measure


@pytest.fixture
def bench_request(
    _async_transactional_db_ready: None, request: pytest.FixtureRequest
) -> Callable[..., None]:
    """Return a function that measures how long a GET takes.

    `bench_request(path, headers={}, rounds=15, times=20)` asks Django's ASGI
    application and this package's, without a server. Fails if their answers differ.
    """

    def measure(
        path: str,
        headers: Mapping[str, str] | None = None,
        rounds: int = ROUNDS,
        times: int = 20,
    ) -> None:
        from django.core.asgi import get_asgi_application as djangos

        from ..asgi import get_asgi_application as ours
        from .requests import get
        from .rounds import STOCK, Request

        made: dict[str, Any] = {}

        def ask(who: str) -> Callable[[], Any]:
            if who not in made:
                made[who] = djangos() if who == STOCK else ours()
            return lambda: get(made[who], path, headers or {})

        _measure(request, Request(ask), "request", rounds, times)

    return measure


def _measure(
    request: pytest.FixtureRequest, operation: Any, per: str, rounds: int, times: int
) -> None:
    from .rounds import OURS, STOCK, measure

    replay = Replay()
    marker = pytest.mark.benchmark(group=per, timer=replay, disable_gc=False)
    request.node.add_marker(marker)
    benchmark = request.getfixturevalue("benchmark")
    turns = measure(operation, rounds, times)
    ratio = median(turns[STOCK].cpu) / median(turns[OURS].cpu)
    benchmark.extra_info |= {
        "case": f"{per}s/{request.node.name.removeprefix('test_')}",
        "per": per,
        "entrants": {who: vars(found) for who, found in turns.items()},
        "ratio": ratio,
    }
    stash = request.config.stash.setdefault(_found, {})
    stash[request.node.nodeid] = turns
    replay.left = list(turns[OURS].wall)
    benchmark.pedantic(replay.end, setup=replay.begin, rounds=rounds)


class Replay:
    """Stands in for pytest-benchmark's timer: it shows what was measured before."""

    def __init__(self) -> None:
        self.left: list[float] = []
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def begin(self) -> None:
        self._now = 0.0

    def end(self) -> None:
        self._now = self.left.pop(0)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Say what the figures are of: the page of them shows it."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    machine_info.setdefault(
        "bench",
        {
            "python": {
                "version": f"CPython {platform.python_version()}",
                "optimised": "--enable-optimizations" in arguments,
            },
            "versions": {
                name: version(name)
                for name in ("Django", "psycopg", "django-async-fast")
            },
        },
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print how many times as fast each was, in processor time and in time."""
    found = config.stash.get(_found, {})
    if not found:
        return
    from .rounds import OURS, STOCK

    write = terminalreporter.write_line
    terminalreporter.section("us of stock and of ours; x in processor time, in time")
    for name, turns in found.items():
        stock, ours = turns[STOCK], turns[OURS]
        cpu, wall = (
            median(getattr(stock, clock)) / median(getattr(ours, clock))
            for clock in ("cpu", "wall")
        )
        us = [median(each.cpu) * 1e6 for each in (stock, ours)]
        write(f"{us[0]:>10,.0f} {us[1]:>10,.0f}   x {cpu:.2f}  x {wall:.2f}   {name}")

"""The suites' fixtures: a server, the contenders' processes, and `measure`."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import pytest
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from bench.harness.contender_processes import ContenderProcesses, pinned, split_cpus
from bench.harness.rounds import Case, Entrant, Outcome, run
from django_async_fast.benchmark.fixtures import Replay
from tools.postgres import database, postgres, server_version

from .contenders import entrants, label, load, missing
from .harness import report
from .shop import dataset

POOL_SIZE = 8
ROUNDS = 9
QUICK_ROUNDS = 2

NOTES = """
Medians of the rounds. cpu: processor time of the contender's process.
spread: slowest minus fastest round, over the median.
stock, asyncpg, wire: how many times as fast as these.
Every row was compared with what is in the table; those of the wire were counted.
"""

replay = Replay()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench", "the benchmarks' rounds")
    group.addoption("--rounds", type=int, help=f"rounds of each case ({ROUNDS})")
    group.addoption("--quick", action="store_true", help="few rounds of few rows")
    group.addoption("--isolated", action="store_true", help="a process for each")
    group.addoption("--no-pin", action="store_true", help="do not pin processors")


@dataclass
class Bench:
    """One run: its options, its processes, and what came out so far."""

    config: pytest.Config
    processes: Any = None
    progress: Any = None
    bar: Any = None
    facts: dict[str, Any] = field(default_factory=dict)
    entered: dict[str, list[Entrant]] = field(default_factory=dict)
    absent: dict[str, dict[str, str]] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    outcomes: dict[str, dict[Entrant, Outcome]] = field(default_factory=dict)

    @property
    def quick(self) -> bool:
        return bool(self.config.getoption("quick"))

    @property
    def rounds(self) -> int:
        default = QUICK_ROUNDS if self.quick else ROUNDS
        return self.config.getoption("rounds") or default

    @property
    def rows(self) -> int:
        return dataset.QUICK_ROWS if self.quick else dataset.ROWS

    def enter(self, item: pytest.Function) -> None:
        name, _ = entrant = item.callspec.params["measure"]
        case = case_of(item)
        self.cases[case.name] = case
        if package := missing(load(name)):
            self.absent.setdefault(case.name, {})[name] = package
        else:
            self.entered.setdefault(case.name, []).append(entrant)
        item.add_marker(
            pytest.mark.benchmark(group=case.title, timer=replay, disable_gc=False)
        )

    def results(self, case: Case) -> dict[Entrant, Outcome]:
        if case.name not in self.outcomes:
            self.outcomes[case.name] = run(
                self.processes,
                case,
                self.entered[case.name],
                self.rounds,
                self.quick,
                self._advance,
            )
        return self.outcomes[case.name]

    def turns(self) -> int:
        return sum(map(len, self.entered.values())) * (self.rounds + 1)

    def _advance(self, what: str) -> None:
        self.progress.update(self.bar, advance=1, description=what)


BENCH = pytest.StashKey[Bench]()


def case_of(item: pytest.Function) -> Case:
    said: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("case"))):
        said |= marker.kwargs
    return Case(name=item.originalname.removeprefix("test_"), **said)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[BENCH] = Bench(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "measure" in metafunc.fixturenames:
        found = list(entrants(metafunc.definition.originalname.removeprefix("test_")))
        ids = [label(*entrant) for entrant in found]
        metafunc.parametrize("measure", found, ids=ids, indirect=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    for item in session.items:
        if isinstance(item, pytest.Function) and "measure" in item.fixturenames:
            session.config.stash[BENCH].enter(item)


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The run, with a seeded server and the contenders' processes."""
    bench = request.config.stash[BENCH]
    profiles = check_builds()
    pin = not request.config.getoption("no_pin")
    server_cpus, cpus = split_cpus() if pin else (set(), set())
    # A signal to end must run the `finally` blocks too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        stack.enter_context(pinned(server_cpus))
        dsn = stack.enter_context(postgres())
        dsn = stack.enter_context(database(dsn, "django_async_fast_bench"))
        dataset.create(dsn, bench.rows)
        bench.processes = ContenderProcesses(
            dsn,
            bench.rows,
            POOL_SIZE,
            sorted(cpus),
            request.config.getoption("isolated"),
        )
        stack.callback(bench.processes.close)
        bench.progress = stack.enter_context(progress())
        bench.bar = bench.progress.add_task("", total=bench.turns())
        bench.facts |= {
            "server": f"PostgreSQL {server_version(dsn)}",
            "server_settings": "tools/postgres.py"
            if "DATABASE_URL" not in os.environ
            else "DATABASE_URL",
            "compiled_parts": profiles,
            "rounds": bench.rounds,
            "rows": bench.rows,
            "pool": POOL_SIZE,
            "processors": {
                "server": sorted(server_cpus) or "any",
                "contenders": sorted(cpus) or "any",
            },
            "load_average": [round(each, 2) for each in os.getloadavg()],
        }
        yield bench
        bench.facts["python"] = bench.processes.python
        bench.facts["versions"] = versions(bench)


def check_builds() -> dict[str, str]:
    """Return both compiled parts' builds; end the run unless they are optimised."""
    os.environ["DJANGO_ASYNC_FAST_IMPL"] = "native"
    try:
        from django_async_fast import _native
    except ImportError as exc:
        pytest.exit(f"There is nothing to measure: {exc}", returncode=3)
    builds = {}
    for part in (_native.rows, _native.decode):
        info = part.build_info()
        if info["profile"] != "release":
            pytest.exit(
                f"{part.__name__} is a {info['profile']} build: `make dev`.",
                returncode=3,
            )
        builds[part.__name__.rpartition(".")[2]] = " ".join(info.values())
    if hasattr(sys, "gettotalrefcount"):
        pytest.exit("This is a debug build of Python.", returncode=3)
    return builds


def progress() -> Progress:
    return Progress(
        *Progress.get_default_columns()[1:3],
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        *Progress.get_default_columns()[:1],
        console=Console(file=sys.__stderr__),
        transient=True,
    )


def versions(bench: Bench) -> dict[str, str]:
    names = {name for found in bench.entered.values() for name, _ in found}
    packages = {package for name in names for package in load(name).packages}
    return {package: version(package) for package in sorted(packages)}


@pytest.fixture
def measure(request: pytest.FixtureRequest, bench: Bench, benchmark: Any) -> Any:
    """Return a function that records this entrant's share of its case's rounds."""
    entrant: Entrant = request.param
    case = case_of(request.node)
    if package := missing(load(entrant[0])):
        pytest.skip(f"{package} is not installed")

    def record() -> None:
        outcomes = bench.results(case)
        outcome = outcomes[entrant]
        if outcome.failure:
            pytest.fail(outcome.failure, pytrace=False)
        others = outcomes.values()
        benchmark.extra_info |= report.extra_info(case, outcome, others)
        replay.left = list(outcome.seconds)
        benchmark.pedantic(replay.end, setup=replay.begin, rounds=len(outcome.seconds))

    return record


def pytest_report_teststatus(report: pytest.TestReport) -> Any:
    """Print no dots: they would run into the progress bar."""
    if report.skipped or (report.passed and report.when == "call"):
        return report.outcome, "", report.outcome.upper()
    return None


def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    machine_info["bench"] = config.stash[BENCH].facts


def pytest_terminal_summary(config: pytest.Config) -> None:
    bench = config.stash[BENCH]
    if not bench.outcomes:
        return
    console = Console()
    tables: dict[str, list[Any]] = {}
    for name, outcomes in bench.outcomes.items():
        if table := bench.cases[name].table:
            line = bench.cases[name], outcomes.values()
            tables.setdefault(table, []).append(line)
            continue
        absent = bench.absent.get(name, {})
        console.print()
        report.show(console, bench.cases[name], outcomes.values(), absent, bench.rows)
    for table, lines in tables.items():
        console.print()
        report.TABLES[table](console, lines)
    console.print(NOTES)
    report.facts(console, bench.facts)

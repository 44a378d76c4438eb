"""The tables at the end of a run."""

from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.contenders import label

from .rounds import Case, Outcome

BASES = ("stock", "asyncpg", "wire")
OURS = "django_async_fast"

# A case, and what came out of it for each entrant.
Line = tuple[Case, Iterable[Outcome]]


def show(
    console: Console,
    case: Case,
    outcomes: Iterable[Outcome],
    absent: dict[str, str],
    rows: int,
) -> None:
    outcomes = list(outcomes)
    good = [o for o in outcomes if o.seconds and not o.failure]
    good.sort(key=lambda outcome: outcome.median)
    bases = {o.entrant[0]: o.median for o in good if o.entrant[1] == case.name}
    unit = f"{rows:,} rows: ms" if case.per == "rows" else f"us per {case.per}"
    scale = "ms" if case.per == "rows" else "us"
    headings = scale, "cpu", "spread", "per s", *BASES
    table = _table(f"{case.title}\n{unit}", headings)
    for outcome in good:
        mine = outcome.entrant[0] == OURS
        table.add_row(
            *_cells(case, outcome, bases, rows), style="bold green" if mine else None
        )
    for outcome in outcomes:
        if outcome.failure:
            table.add_row(outcome.title, "failed", style="red")
    console.print(table)
    if absent:
        console.print(f"not installed: {', '.join(absent.values())}", style="yellow")


def show_queries(console: Console, cases: Iterable[Line]) -> None:
    """Print a line for each query: the processor time of stock Django, and of ours."""
    table = _table(
        "Queries: us of processor time, and how many times less than stock's",
        ("stock", "block", "sync", "x block", "x sync"),
    )
    for case, outcomes in cases:
        found = {o.entrant: o for o in outcomes}
        stock, block, sync = (
            _processor_time(found.get((name, f"{case.name}{way}")))
            for name, way in (("stock", "__sync"), (OURS, ""), (OURS, "__sync"))
        )
        ratios = [stock and us and f"{stock / us:.2f}" for us in (block, sync)]
        cells = [us and _short(us) for us in (stock, block, sync)]
        table.add_row(case.title, *(each or "-" for each in (*cells, *ratios)))
    console.print(table)


def show_writes(console: Console, cases: Iterable[Line]) -> None:
    """Print a line for each write: its time, and how many times stock's in both."""
    table = _table(
        "Writes: us a row, and how many times less time, and processor time\n"
        "(cpu), than stock Django's synchronous method",
        ("stock", "block", "sync", "x block", "x sync", "cpu", "cpu sync"),
    )
    for case, outcomes in cases:
        found = {o.entrant: o for o in outcomes if o.seconds and not o.failure}
        stock = found.get(("stock", f"{case.name}__sync"))
        ours = [found.get((OURS, f"{case.name}{way}")) for way in ("", "__sync")]
        times = [each and _short(each.median * 1e6) for each in (stock, *ours)]
        ratios = [
            stock and each and f"{of(stock) / of(each):.2f}"
            for of in (lambda o: o.median, lambda o: median(o.cpu_seconds))
            for each in ours
        ]
        table.add_row(case.title, *(each or "-" for each in (*times, *ratios)))
        _tell_failures(console, case.title, outcomes)
    console.print(table)


# The servers of the pages, in the order of their columns.
SERVERS = {
    "fast": "ours",
    "asgi": "ASGI",
    "wsgi": "WSGI",
    "wsgi_fast": "WSGI+",
    "starlette": "S",
    "starlette_asyncpg": "S+a",
}


def show_pages(console: Console, cases: Iterable[Line]) -> None:
    """Print a line for each page: the processor time of each server, and of ours."""
    others = list(SERVERS.values())[1:]
    table = _table(
        "Pages: us of processor time a request, and how many times ours is less\n"
        "WSGI+: with this package installed; S: Starlette, SQLAlchemy over asyncpg;\n"
        "S+a: Starlette, asyncpg without an ORM",
        (*SERVERS.values(), *(f"x {each}" for each in others)),
    )
    for case, outcomes in cases:
        found = {outcome.entrant[0]: outcome for outcome in outcomes}
        ours, *theirs = (
            _processor_time(found.get(f"pages_{name}")) for name in SERVERS
        )
        ratios = [us and ours and f"{us / ours:.2f}" for us in theirs]
        cells = [us and _short(us) for us in (ours, *theirs)]
        name = case.name.removeprefix("page_")
        table.add_row(name, *(each or "-" for each in (*cells, *ratios)))
        _tell_failures(console, name, found.values())
    console.print(table)


def _table(title: str, headings: Iterable[str]) -> Table:
    # 80 columns have to do.
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _tell_failures(console: Console, title: str, outcomes: Iterable[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.failure:
            line = f"{title}, {outcome.title}: {outcome.failure}"
            console.print(line, style="red")


TABLES = {"queries": show_queries, "pages": show_pages, "writes": show_writes}


def _processor_time(outcome: Outcome | None) -> float | None:
    """Return the median in us, None where it failed or took no part."""
    if outcome is None or outcome.failure or not outcome.cpu_seconds:
        return None
    return median(outcome.cpu_seconds) * 1e6


def _cells(
    case: Case, outcome: Outcome, bases: dict[str, float], rows: int
) -> Iterator[str]:
    seconds = outcome.median
    yield outcome.title
    scale = 1e3 if case.per == "rows" else 1e6
    yield _short(seconds * scale)
    yield _short(median(outcome.cpu_seconds) * scale)
    yield f"{(max(outcome.seconds) - min(outcome.seconds)) / seconds:.0%}"
    yield _rate((rows if case.per == "rows" else 1) / seconds)
    for base in BASES:
        yield f"{bases[base] / seconds:.2f}" if base in bases else "-"


def _rate(per_second: float) -> str:
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if per_second >= factor:
            return _short(per_second / factor) + unit
    return _short(per_second)


def _short(number: float) -> str:
    """Return `number` with three digits, or all those before the point."""
    digits = max(0, 3 - len(str(int(number)))) if number >= 1 else 3
    return f"{number:,.{digits}f}"


def extra_info(
    case: Case, outcome: Outcome, others: Iterable[Outcome]
) -> dict[str, Any]:
    """Return what the JSON says about one entrant, besides its seconds."""
    bases = {o.entrant[0]: o for o in others if o.entrant[1] == case.name}
    return {
        "contender": label(*outcome.entrant),
        "per": "pass over all rows" if case.per == "rows" else case.per,
        "cpu_seconds": outcome.cpu_seconds,
        "correct": True,  # or it would have failed
        "ratios": {
            base: bases[base].median / outcome.median
            for base in BASES
            if base in bases and bases[base].seconds
        },
    }


def facts(console: Console, info: dict[str, Any]) -> None:
    for name, value in info.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        console.print(f"{name}: {value}", highlight=False, soft_wrap=True)

"""Write docs/conformance.md from the results of the runs: `make conformance-report`."""

from collections import Counter
from typing import Any

from tools.conformance import results
from tools.conformance.cluster import DATABASES
from tools.conformance.labels import named
from tools.conformance.results import MODES, ROOT, Report

NAMES = {"postgresql": "PostgreSQL", "mysql": "MariaDB", "sqlite": "SQLite"}
PAGE = ROOT / "docs" / "conformance.md"

HEAD = """\
# Conformance

Django's own test suite, unmodified, on PostgreSQL, MariaDB and SQLite, in five modes:

- `stock`: Django alone, in the same environment. What fails here fails everywhere.
- `sync`: the package installed, no block: the core builds rows for the synchronous ORM.
- `bridge`: the whole suite on the bridge, in one event loop and one block, with every
  query awaited.
- `concurrent`: the labels of the ORM, eight test classes at once on one event loop,
  each in its own context and block, on databases of its own: what leaks from one to
  another lands in the wrong database. A test that changes something of the whole
  process (settings, a mock, captured output) runs on while the others wait.
- `request`: the labels about requests, on the bridge as in `bridge`; what a test client
  sends goes through `django_async_fast.asgi.get_asgi_application()`.

```console
$ make conformance                                  # the newest Django, MODE=bridge
$ make conformance DJANGO=5.2 MODE=sync PARALLEL=2
$ make conformance MODE="sync bridge" LABELS=orm    # what the CI runs
$ make conformance MODE=request
$ make conformance MODE=concurrent TASKS=8 LABELS="queries basic"
$ make conformance DATABASE=sqlite MODE="sync bridge" LABELS=orm
$ make conformance DATABASE=mysql MODE="sync bridge" LABELS=orm
$ make conformance-report                           # this page, from the last runs
```

Labels: all of the suite, or those of the ORM (`tools/conformance/labels.py`). "Only
here" counts the tests that fail in that mode, pass in `stock`, and are not about
something else (below). The revision is the package's.

"""

COLUMNS = (
    "Django",
    "database",
    "mode",
    "labels",
    "revision",
    "tests",
    "passed",
    "skipped",
    "failed",
    "only here",
    "waits awaited",
    "threads started",
    "rows built",
    "rows left to Django",
)


def main() -> None:
    reports = _reports()
    PAGE.write_text(
        f"{HEAD}{_table(reports)}\n{_only_here(reports)}{_left_to_django(reports)}"
        f"{_exceptions()}"
    )


def _reports() -> list[Report]:
    """Return the modes' reports on each Django: of all labels, else of the mode's."""
    found = [
        results.last(mode, version, "all", database)
        or results.last(mode, version, named([], mode), database)
        or results.last(mode, version, "orm", database)
        for version in results.versions()
        for database in DATABASES
        for mode in MODES
    ]
    return [report for report in found if report]


def _table(reports: list[Report]) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *map(_row, reports)]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _row(report: Report) -> list[Any]:
    sums = Counter(report["outcomes"].values())
    counts, mode = report["counts"], report["mode"]
    measured = ("waits awaited", "threads started", "rows built")
    return [
        report["django"],
        NAMES[report.get("database", "postgresql")],
        f"`{mode}`",
        report["labels"],
        "" if mode == "stock" else report.get("revision", ""),
        sum(sums.values()),
        sums["passed"] + sums["expected failure"],
        sums["skipped"],
        sums["failed"],
        "" if mode == "stock" else len(report["only_here"]),
        *("" if mode == "stock" else counts.get(name, 0) for name in measured),
        "" if mode == "stock" else sum(_left(report).values()),
    ]


def _left(report: Report) -> Counter[str]:
    prefix = "rows left to Django: "
    return Counter(
        {
            name.removeprefix(prefix): count
            for name, count in report["counts"].items()
            if name.startswith(prefix)
        }
    )


def _only_here(reports: list[Report]) -> str:
    lines = [
        f"- Django {report['django']}, `{report['mode']}`: `{test}`\n"
        for report in reports
        for test in report["only_here"]
    ]
    return f"## Failing only here\n\n{''.join(lines)}\n" if lines else ""


def _left_to_django(reports: list[Report]) -> str:
    sums: Counter[str] = Counter()
    for report in reports:
        sums.update(_left(report))
    lines = [f"| {reason} | {count} |\n" for reason, count in sums.most_common()]
    return (
        "## Rows left to Django\n\nThe core declines these queries and Django's own "
        "code builds their rows. Sums over the runs above.\n\n"
        f"| reason | rows |\n|---|---|\n{''.join(lines)}\n"
    )


def _exceptions() -> str:
    about = (
        "## Tests that are about something else\n\nThey assert what a mode changes on "
        "purpose, and are not counted as failing only here.\n"
    )
    parts = [about]
    for modes, tests in results.every_exception().items():
        names = " and ".join(f"`{mode}`" for mode in modes.split())
        lines = "".join(f"- `{test}`: {why}.\n" for test, why in tests.items())
        parts.append(f"\nIn {names}:\n\n{lines}" if tests else "")
    return "".join(parts)


if __name__ == "__main__":
    main()

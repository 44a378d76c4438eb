"""Write what docs/conformance.md has of the last runs: `make conformance-report`.

From its table on; what stands before that is written by hand.
"""

from collections import Counter
from typing import Any

from tools.conformance import results
from tools.conformance.cluster import DATABASES
from tools.conformance.labels import named
from tools.conformance.results import MODES, ROOT, Report

NAMES = {"postgresql": "PostgreSQL", "mysql": "MariaDB", "sqlite": "SQLite"}
PAGE = ROOT / "docs" / "conformance.md"

COLUMNS = (
    *("Django", "database", "mode", "labels", "revision", "tests", "passed", "skipped"),
    *("failed", "only here", "waits awaited", "threads started", "rows built"),
    "rows left to Django",
)


def main() -> None:
    reports = _reports()
    head = PAGE.read_text().partition("| Django |")[0]
    PAGE.write_text(
        f"{head}{_table(reports)}\n{_only_here(reports)}{_left_to_django(reports)}"
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

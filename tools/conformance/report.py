"""Write docs/conformance.md from the results of the runs: `make conformance-report`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tools.conformance.__main__ import CACHE, EXCEPTIONS, MODES, ROOT

PAGE = ROOT / "docs" / "conformance.md"

HEAD = """\
# Conformance

Django's own test suite, unmodified, on PostgreSQL. `make conformance` runs it, with
`DJANGO=5.2|6.0|6.1`, `MODE=stock|sync|bridge`, `LABELS="queries basic"`, `PARALLEL=2`;
this page is written by `make conformance-report` from what the runs left behind.

- `stock`: Django alone, in the same environment.
- `sync`: the package installed, no block: the core builds rows for the synchronous ORM.
- `bridge`: the whole suite on the bridge, in one event loop and one block, with every
  query awaited.

"Only here" counts the tests that fail in that mode and pass in `stock`.

| Django | mode | tests | passed | skipped | failed | only here | waits awaited | \
rows built | rows left to Django |
|---|---|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    rows = [_row(report) for report in _reports()]
    excepted = json.loads(EXCEPTIONS.read_text())
    tail = "".join(f"- `{test}`: {why}.\n" for test, why in excepted.items())
    PAGE.write_text(
        f"{HEAD}{''.join(rows)}\n## Tests that are about something else\n\n"
        "They assert what the package changes on purpose, and are not counted as "
        f"failing only here.\n\n{tail}"
    )


def _reports() -> list[dict[str, Any]]:
    files = [path for mode in MODES for path in CACHE.glob(f"{mode}-[0-9]*.json")]
    found = [json.loads(path.read_text()) for path in files]
    whole = [report for report in found if report.get("whole")]
    return sorted(whole, key=lambda r: (r["django"], MODES.index(r["mode"])))


def _row(report: dict[str, Any]) -> str:
    sums = Counter(report["outcomes"].values())
    counts = report["counts"]
    left = sum(n for name, n in counts.items() if name.startswith("rows left"))
    cells = [
        report["django"],
        f"`{report['mode']}`",
        sum(sums.values()),
        sums["passed"] + sums["expected failure"],
        sums["skipped"],
        sums["failed"],
        "" if report["mode"] == "stock" else len(_only_here(report)),
        counts.get("waits awaited", ""),
        counts.get("rows built", ""),
        left or "",
    ]
    return f"| {' | '.join(map(str, cells))} |\n"


def _only_here(report: dict[str, Any]) -> list[str]:
    baseline = Path(CACHE / f"stock-{report['django']}.json")
    stock = json.loads(baseline.read_text())["outcomes"] if baseline.exists() else {}
    excepted = json.loads(EXCEPTIONS.read_text())
    return [
        test
        for test, outcome in report["outcomes"].items()
        if outcome == "failed" and stock.get(test) != "failed" and test not in excepted
    ]


if __name__ == "__main__":
    main()

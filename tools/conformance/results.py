"""What the runs left behind, and what of it counts: failures that stock has not."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "conformance"
MODES = ("stock", "sync", "bridge", "concurrent", "request")
# Tests of what the package changes on purpose, with the reason, by mode.
EXCEPTIONS = Path(__file__).parent / "exceptions.json"

Report = dict[str, Any]


def keep(report: Report) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    which = report["mode"], report["django"], report["labels"], report["database"]
    _file(*which).write_text(json.dumps(report, indent=1))


def last(
    mode: str, django: str, labels: str = "all", database: str = "postgresql"
) -> Report | None:
    """Return the report of the last run of `labels`, "all" or "orm", or None."""
    path = _file(mode, django, labels, database)
    return json.loads(path.read_text()) if path.exists() else None


def versions() -> list[str]:
    """Return the releases of Django that there are reports of, the oldest first."""
    files = (path.stem.split("-") for mode in MODES for path in CACHE.glob(f"{mode}-*"))
    found = {parts[1] for parts in files if parts[1][0].isdigit()}
    return sorted(found, key=lambda version: [int(n) for n in version.split(".")])


def _file(mode: str, django: str, labels: str, database: str) -> Path:
    other = "" if database == "postgresql" else f"-{database}"
    return CACHE / f"{mode}-{django}-{labels}{other}.json"


def every_exception() -> dict[str, dict[str, str]]:
    """Return modes -> test -> reason."""
    return json.loads(EXCEPTIONS.read_text())


def exceptions(mode: str) -> dict[str, str]:
    """Return the tests that `mode` may fail, with the reasons."""
    found: dict[str, str] = {}
    for modes, tests in every_exception().items():
        if mode in modes.split():
            found |= tests
    return found


def failed(report: Report) -> set[str]:
    """Return the tests that failed; a failed subtest fails its test."""
    return {test for test, what in report["outcomes"].items() if what == "failed"}


def only_here(report: Report, stock: Report) -> list[str]:
    """Return the tests that fail in `report`, pass in `stock`, and have no excuse."""
    excused = failed(stock) | exceptions(report["mode"]).keys()
    return sorted(failed(report) - excused)

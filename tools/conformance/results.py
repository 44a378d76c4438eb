"""What the runs left behind, and what of it counts: failures that stock has not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "conformance"
MODES = ("stock", "sync", "bridge", "concurrent")
# Tests of what the package changes on purpose, with the reason, by mode.
EXCEPTIONS = Path(__file__).parent / "exceptions.json"

Report = dict[str, Any]


def result_file(mode: str, django: str, whole: bool) -> Path:
    """Return where a run's report is kept: one of some labels is not in the way."""
    return CACHE / f"{mode}-{django}{'' if whole else '-some'}.json"


def keep(report: Report) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    path = result_file(report["mode"], report["django"], report["whole"])
    path.write_text(json.dumps(report, indent=1))


def whole(mode: str, django: str) -> Report | None:
    """Return the report of the last run of everything, or None."""
    path = result_file(mode, django, whole=True)
    return json.loads(path.read_text()) if path.exists() else None


def every_exception() -> dict[str, dict[str, str]]:
    """Return modes -> test -> reason."""
    found: dict[str, dict[str, str]] = json.loads(EXCEPTIONS.read_text())
    return found


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
    """Return the tests that fail in `report`, not in `stock`, and may not."""
    excused = failed(stock) | exceptions(report["mode"]).keys()
    return sorted(failed(report) - excused)

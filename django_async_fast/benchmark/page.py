"""The records as one static page: everything that it needs is in it."""

import json
from pathlib import Path
from typing import Any

from .ratios import OURS, base_of, points
from .records import Record

HERE = Path(__file__).parent
# What stands in the template, and what comes there.
PARTS = {
    "/* uplot.css */": "uplot/uPlot.min.css",
    "/* page.css */": "page.css",
    "/* uplot.js */": "uplot/uPlot.iife.min.js",
    "/* page.js */": "page.js",
}


def page(records: list[Record], commit_url: str = "") -> str:
    """Return the page. `commit_url` has `{}` where a commit's id belongs."""
    text = (HERE / "page.html").read_text()
    for mark, name in PARTS.items():
        text = text.replace(mark, (HERE / name).read_text())
    data = json.dumps(data_of(records, commit_url), separators=(",", ":"))
    return text.replace("/* data */", data.replace("<", "\\u003c"))


def data_of(records: list[Record], commit_url: str) -> dict[str, Any]:
    cases: dict[str, Any] = {}
    for record in records:
        for name, case in record["cases"].items():
            told = {"title": case["title"], "per": case["per"], "base": base_of(case)}
            cases[name] = told
    return {
        "ours": OURS,
        "commitUrl": commit_url,
        "cases": cases,
        "records": [
            {key: value for key, value in record.items() if key != "cases"}
            for record in records
        ],
        "points": {clock: points(records, clock) for clock in ("cpu", "wall")},
    }

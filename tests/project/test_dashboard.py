"""Records of the benchmarks, and the page that shows them in a browser."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.dashboard import HISTORY, fallen, load, save
from django_async_fast.benchmark import records
from django_async_fast.benchmark.page import page
from django_async_fast.benchmark.ratios import changed, points, ratios

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def run(commit: str, *, ours: float, minute: int = 0) -> dict[str, Any]:
    """Return a run as pytest-benchmark writes it: a get of stock's takes 100 us."""
    seconds = {"stock": 100e-6, "django_async_fast": ours, "asyncpg": 20e-6}
    return {
        "datetime": f"2026-01-01T00:{minute:02}:00.123456+00:00",
        "commit_info": {"id": commit * 40, "dirty": False},
        "machine_info": {
            "machine": "x86_64",
            "system": "Linux",
            "cpu": {"brand_raw": "A <processor>", "count": 4, "flags": ["sse"]},
            "bench": {
                "server": "PostgreSQL 18.4",
                "python": {"version": "CPython 3.13.0", "optimised": True},
                "versions": {"Django": "6.1.3"},
                "compiled_parts": {"_rows": "release"},
                "rounds": 3,
                "rows": 10,
                "load_average": [0.1, 0.2, 0.3],
            },
        },
        "benchmarks": [
            {
                "fullname": "suites/bench_single.py::test_get_by_key[x]",
                "name": "test_get_by_key[x]",
                "group": "Get by <key>",
                "params": {"measure": [name, "get_by_key"]},
                "extra_info": {
                    "per": "get",
                    "cpu_seconds": [each * 0.98, each, each * 1.02],
                },
                "stats": {"data": [each, each * 2, each * 3], "rounds": 3},
            }
            for name, each in seconds.items()
        ],
    }


def record(commit: str, **wanted: Any) -> records.Record:
    return records.of_run(run(commit, **wanted))


def test_a_record_has_quartiles_and_what_they_are_of() -> None:
    made = record("a", ours=25e-6)
    case = made["cases"]["single/get_by_key"]
    assert case["cpu"]["stock"] == (99.0, 100.0, 101.0)
    assert case["wall"]["django_async_fast"] == (37.5, 50.0, 62.5)
    assert records.kind(made) == "A <processor> x 4, CPython 3.13"
    assert made["versions"] == {"Django": "6.1.3"}


def test_a_ratio_has_the_noise_of_both() -> None:
    case = record("a", ours=25e-6)["cases"]["single/get_by_key"]
    assert ratios(case, "cpu")["django_async_fast"] == (3.92, 4.0, 4.08)
    assert "stock" not in ratios(case, "cpu")


def test_what_is_within_the_noise_is_no_change() -> None:
    assert changed((3.0, 4.0, 5.0), (4.9, 5.0, 5.1)) == 0
    assert changed((3.0, 4.0, 5.0), (5.1, 5.2, 5.3)) == 1
    assert changed((3.0, 4.0, 5.0), (2.7, 2.8, 2.9)) == -1


def test_only_records_of_one_kind_of_machine_are_compared() -> None:
    before, now = record("a", ours=25e-6), record("b", ours=30e-6)
    (said,) = fallen([before], now)
    assert said.startswith("single/get_by_key: 3.33 times as fast as stock")
    assert not list(fallen([before], record("b", ours=25.2e-6)))
    before["machine"]["count"] = 64
    assert not list(fallen([before], now))


def test_records_come_back_in_order(tmp_path: Path) -> None:
    made = [record("b", ours=25e-6), record("a", ours=20e-6, minute=1)]
    for each in reversed(made):
        save(each, tmp_path)
    assert [each["commit"][0] for each in load(tmp_path)] == ["b", "a"]
    assert all(path.stat().st_size < 2_000 for path in tmp_path.iterdir())
    (line,) = points(load(tmp_path))["A <processor> x 4, CPython 3.13"].values()
    assert [point["change"] for point in line] == [0, 1]


@pytest.fixture
def html(tmp_path: Path) -> Path:
    made = [record("a", ours=25e-6), record("b", ours=40e-6, minute=1)]
    written = tmp_path / "index.html"
    written.write_text(page(made, "https://example.org/commit/{}"))
    return written


def test_the_page_has_all_that_it_needs(html: Path) -> None:
    text = html.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)|@import|url\(""", text)
    assert "</script><" not in text.partition('id="data">')[2].partition("</script>")[0]
    assert len(text) < 500_000


def test_every_case_that_was_recorded_is_on_the_page() -> None:
    made = load(HISTORY)
    found = points(made)
    for each in made:
        compared = {name for name, case in each["cases"].items() if ratios(case, "cpu")}
        assert compared <= set(found[records.kind(each)])
        assert compared


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("size", ["1200,1600", "360,800"])
def test_a_browser_shows_every_case_without_an_error(html: Path, size: str) -> None:
    assert CHROMIUM
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--window-size={size}"]
    options += [f"--user-data-dir={html.parent}/profile", "--enable-logging=stderr"]
    done = subprocess.run(
        [CHROMIUM, *options, "--dump-dom", html.as_uri()],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert "CONSOLE" not in done.stderr
    shown = set(re.findall(r'<article id="([\w/]+)"', done.stdout))
    assert shown == {"single/get_by_key"}
    assert done.stdout.count("<canvas") == len(shown)
    assert f'href="https://example.org/commit/{"b" * 40}"' in done.stdout
    assert "▼ slower" in done.stdout
    assert "Get by &lt;key&gt;" in done.stdout

"""Share the suite's labels out over processes, sum up, compare with `stock`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import django

from tools.conformance.cluster import cluster

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "conformance"
MODES = ("stock", "sync", "bridge")
# Tests that assert an implementation detail which the package changes on purpose.
EXCEPTIONS = Path(__file__).parent / "exceptions.json"


def main() -> int:
    options = _options()
    tests = suite_folder(django.__version__)
    labels = options.labels or _all_labels(tests)
    with cluster() as (dsn, server):
        print(f"Django {django.__version__}, mode {options.mode}, {server}", flush=True)
        report = run(tests, dsn, options.mode, labels, options.parallel)
    report |= {"django": django.__version__, "mode": options.mode, "server": server}
    report["whole"] = not options.labels
    CACHE.mkdir(parents=True, exist_ok=True)
    _result_file(options.mode).write_text(json.dumps(report, indent=1))
    return _tell(report, options.mode)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.conformance")
    parser.add_argument("--mode", choices=MODES, default="bridge")
    parser.add_argument("--parallel", type=int, default=os.cpu_count() or 1)
    parser.add_argument("labels", nargs="*", help="Django's test labels; default: all")
    return parser.parse_args()


def suite_folder(version: str) -> Path:
    """Return the tests folder of Django's source distribution, fetched once."""
    tests = CACHE / f"django-{version}" / "tests"
    if not tests.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        download += ["--no-binary", ":all:", "--dest", str(CACHE), f"Django=={version}"]
        subprocess.run(download, check=True)
        with tarfile.open(next(CACHE.glob(f"[dD]jango-{version}.tar.gz"))) as archive:
            archive.extractall(CACHE, filter="data")
    return tests


def _all_labels(tests: Path) -> list[str]:
    skipped = {"import_error_package", "test_runner_apps", "gis_tests"}
    folders = {path.parent.name for path in tests.glob("*/__init__.py")}
    return sorted(folders - skipped)


def run(
    tests: Path, dsn: str, mode: str, labels: list[str], parallel: int
) -> dict[str, Any]:
    """Run `labels` in `parallel` processes; return outcomes and counts, summed."""
    began = time.monotonic()
    # The slow labels are neighbours in the alphabet: deal them out.
    shards = [labels[i::parallel] for i in range(min(parallel, len(labels)))]
    running = [_start(tests, dsn, mode, i, shard) for i, shard in enumerate(shards)]
    outcomes: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for process, result in running:
        process.wait()
        found = json.loads(result.read_text()) if result.exists() else {}
        if not found:
            print(f"a process ended without a result; see {result.with_suffix('.log')}")
            outcomes[f"process {result.stem}"] = "failed"
        outcomes |= found.get("outcomes", {})
        counts.update(found.get("counts", {}))
    counts.pop("installed", None)
    seconds = round(time.monotonic() - began)
    return {"outcomes": outcomes, "counts": dict(counts), "seconds": seconds}


def _start(
    tests: Path, dsn: str, mode: str, shard: int, labels: list[str]
) -> tuple[subprocess.Popen[bytes], Path]:
    result = CACHE / f"{mode}-{django.__version__}-{shard}.json"
    result.unlink(missing_ok=True)
    environ = os.environ | {
        "DATABASE_URL": dsn,
        "CONFORMANCE_SHARD": str(shard),
        "CONFORMANCE_RESULT": str(result),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tools.conformance.inside", mode]
    command += ["--settings=tools.conformance.suite_settings", "--parallel=1"]
    command += ["--noinput", *labels]
    with result.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=tests,
            env=environ,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    return process, result


def _result_file(mode: str) -> Path:
    return CACHE / f"{mode}-{django.__version__}.json"


def _tell(report: dict[str, Any], mode: str) -> int:
    """Print the sums and what fails here but not in `stock`; return the exit code."""
    sums = Counter(report["outcomes"].values())
    print(f"{sum(sums.values())} tests in {report['seconds']} s: {dict(sums)}")
    for name, count in sorted(report["counts"].items()):
        print(f"  {name}: {count}")
    failed = {test for test, what in report["outcomes"].items() if what == "failed"}
    baseline = _result_file("stock")
    if mode == "stock" or not baseline.exists():
        for test in sorted(failed):
            print(f"  failed: {test}")
        return 0 if mode == "stock" else int(bool(failed))
    stock = json.loads(baseline.read_text())["outcomes"]
    excepted = json.loads(EXCEPTIONS.read_text()) if EXCEPTIONS.exists() else {}
    new = sorted(t for t in failed if stock.get(t) != "failed" and t not in excepted)
    print(f"{len(new)} tests fail here and not in stock")
    for test in new:
        print(f"  {test}")
    print(f"{sum(sums.values()) - sums['failed']} passed, {len(new)} failed")
    return int(bool(new))


if __name__ == "__main__":
    sys.exit(main())

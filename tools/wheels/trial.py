"""`python -m tools.wheels.trial`: do the wheels work where there is nothing else?

Installs each wheel of dist/wheels that this machine can run into an environment of its
own, and runs from a folder without the package's sources, and without compiler and
cargo: the demo, the tests of the fallback, and a part of the suite.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import interpreters
from .targets import PYTHONS

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / "dist" / "wheels"
PART = (
    "tests/native",
    "tests/connections",
    "tests/transactions",
    "tests/querysets/test_built_rows.py",
    "tests/querysets/test_streams.py",
    "tests/drivers/types",
)
WHERE = """
import django_async_fast, pathlib, sys
from django_async_fast import _native
assert _native.COMPILED, _native.REASON
for part in (django_async_fast, _native.rows, _native.decode):
    assert pathlib.Path(part.__file__).is_relative_to(sys.prefix), part.__file__
    print(part.__file__)
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.wheels.trial")
    parser.add_argument("--python", action="append", choices=PYTHONS)
    parser.add_argument("--part", nargs="*", default=PART, help="pytest's arguments")
    arguments = parser.parse_args()
    tried = failed = 0
    for version in arguments.python or PYTHONS:
        tag = f"cp{version.replace('.', '')}"
        libc = "manylinux" if platform.libc_ver()[0] else "musllinux"
        wheels = sorted(WHEELS.glob(f"*-{tag}-{tag}-{libc}*_{platform.machine()}.whl"))
        python = interpreters.find(version)
        if not wheels or python is None:
            print(f"not tried: {version}: no {'CPython' if wheels else 'wheel'} here")
            continue
        for wheel in wheels:
            tried += 1
            wrong = trial(python, wheel, list(arguments.part))
            failed += bool(wrong)
            said = f"failed: {', '.join(wrong)}" if wrong else "works"
            print(f"{wheel.name}: {said}", flush=True)
    print(f"{tried} wheels tried, {failed} failed")
    return int(bool(failed or not tried))


def trial(python: Path, wheel: Path, part: list[str]) -> list[str]:
    """Return which of the runs have failed."""
    with tempfile.TemporaryDirectory() as name:
        here, venv = Path(name, "here"), Path(name, "venv")
        for each in ("tests", "tools", "examples", "bench"):
            shutil.copytree(ROOT / each, here / each)
        for each in ("pyproject.toml", "docs", "README.md"):
            copy = shutil.copytree if (ROOT / each).is_dir() else shutil.copy
            copy(ROOT / each, here / each)
        subprocess.run([python, "-m", "venv", venv], check=True)
        pip = [venv / "bin" / "python", "-m", "pip", "--quiet", "install"]
        environ = _bare(venv)
        for arguments in (
            ["--upgrade", "pip>=25.1"],
            ["--only-binary=django-async-fast", f"{wheel}[binary]"],
            ["--group", "demo", "--group", "test"],
        ):
            subprocess.run([*pip, *arguments], cwd=here, env=environ, check=True)
        pytest = [venv / "bin" / "python", "-m", "pytest", "-q", "-p", "no:randomly"]
        runs = {
            "modules": ("native", [venv / "bin" / "python", "-c", WHERE]),
            "demo": ("native", [venv / "bin" / "python", "examples/demo"]),
            "fallback": ("python", [*pytest, "-m", "fallback", "tests/native"]),
            "tests": ("native", [*pytest, *part]),
        }
        return [
            run
            for run, (implementation, command) in runs.items()
            if not _passes(command, here, environ, implementation)
        ]


def _bare(venv: Path) -> dict[str, str]:
    """Return an environment in which nothing can be compiled."""
    environ = {key: value for key, value in os.environ.items() if "PYTHON" not in key}
    return environ | {
        "PATH": f"{venv}/bin:/usr/bin:/bin",
        "CC": "/bin/false",
        "CARGO": "/bin/false",
    }


def _passes(
    command: list[str | Path], here: Path, environ: dict[str, str], implementation: str
) -> bool:
    done = subprocess.run(
        command,
        cwd=here,
        env=environ | {"DJANGO_ASYNC_FAST_IMPL": implementation},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    lines = done.stdout.splitlines()
    print(*(lines[-40:] if done.returncode else lines[-4:]), sep="\n", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())

"""Where the CPythons are that wheels are built for, or tried with."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

USABLE = "import sys, ensurepip; print(*sys.version_info[:2], sep='.')"


def find(version: str) -> Path | None:
    """Return a CPython of that version that runs, or None."""
    for python in _candidates(version):
        done = subprocess.run(
            [python, "-c", USABLE], capture_output=True, text=True, check=False
        )
        if done.returncode == 0 and done.stdout.strip() == version:
            return python
    return None


def _candidates(version: str) -> Iterator[Path]:
    if found := shutil.which(f"python{version}"):
        yield Path(found)
    pyenv = Path.home() / ".pyenv" / "versions"
    yield from pyenv.glob(f"{version}.*/bin/python")


def environment(python: Path, at: Path, *requirements: str) -> Path:
    """Return the interpreter of an environment with `requirements`, made if need be."""
    ours = at / "bin" / "python"
    said = at / "requirements"
    wanted = "\n".join(requirements)
    if said.exists() and said.read_text() == wanted:
        return ours
    subprocess.run([python, "-m", "venv", "--clear", at], check=True)
    pip = [ours, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if requirements:
        subprocess.run([*pip, *requirements], check=True)
    said.write_text(wanted)
    return ours

"""Where the CPythons are that wheels are built for, or tried with."""

import subprocess
from pathlib import Path

FIND = Path(__file__).parents[1] / "find_python"


def find(version: str) -> Path | None:
    """Return a CPython of that version that runs, or None."""
    found = subprocess.run(
        [FIND, version], capture_output=True, text=True, check=False
    ).stdout.strip()
    return Path(found) if found else None


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

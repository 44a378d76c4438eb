"""Programs in an interpreter of their own."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]


def ended(
    *arguments: str, cwd: Path = ROOT, timeout: float = 60, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Return how `python` with `arguments` has ended, and what it has written.

    Its environment is this process's with `environ`, without the tests' settings.
    """
    inherited = os.environ.copy()
    inherited.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=inherited | environ,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def run(*code: str, **environ: str) -> str:
    """Return what `code` prints; it may neither fail nor warn."""
    done = ended("-W", "error", "-c", "".join(map(dedent, code)), **environ)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout

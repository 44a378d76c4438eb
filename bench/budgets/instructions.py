"""How many instructions are run, by valgrind's callgrind: of all threads, and of C."""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .python_calls import Counted

# Names the files that callgrind writes; set where it runs.
OUT = "BENCH_CALLGRIND_OUT"
ASKS = Path(__file__).with_name("callgrind.c")
TOTALS = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def missing() -> str:
    """Return what is needed and not there, or ''."""
    if not shutil.which("valgrind"):
        return "valgrind"
    includes = "#include <valgrind/callgrind.h>\n"
    compiler = ["cc", "-E", "-x", "c", "-", "-o", os.devnull]
    if not shutil.which("cc"):
        return "a C compiler"
    done = subprocess.run(
        compiler, input=includes, text=True, capture_output=True, check=False
    )
    return "valgrind's headers" if done.returncode else ""


@contextmanager
def command() -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield what goes before a command, and its environment, for `counted()` in it."""
    with tempfile.TemporaryDirectory() as folder:
        library, out = Path(folder, "asks.so"), Path(folder, "out")
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-o", library, ASKS], check=True
        )
        valgrind = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no"]
        yield [*valgrind, f"--callgrind-out-file={out}"], {OUT: str(out)}


@contextmanager
def counted() -> Iterator[Counted]:
    """Count the instructions of this process while it is entered."""
    out = Path(os.environ[OUT])
    asks = ctypes.CDLL(str(out.with_name("asks.so")))
    found = Counted()
    for old in out.parent.glob("out*"):
        old.unlink()
    asks.begin()
    yield found
    asks.end()
    found.count = sum(
        int(TOTALS.findall(each.read_text())[-1]) for each in out.parent.glob("out*")
    )

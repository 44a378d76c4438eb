"""What a wheel must be like: what is in it, how large it is, whom it links to."""

import hashlib
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from .targets import Target

LIMIT = 3_000_000
MODULES = ("_rows", "_decode")
# Of the C library; libpq is found at run time, where psycopg has loaded it.
LIBRARIES = re.compile(
    r"lib(c|m|pthread|dl|rt|gcc_s)\.so.*|ld-linux.*|libc\.musl.*|lib(unwind)\.so.*"
)
SYMBOLS = re.compile(r"\] (\.symtab|\.debug_\w+) ")
NEEDED = re.compile(r"\(NEEDED\).*\[(.+)\]")


def faults(wheel: Path, target: Target) -> Iterator[str]:
    """Yield what is wrong with it."""
    # auditwheel says in the name which C library it needs at least.
    found = re.search(r"(many|musl)linux_(\d+)_(\d+)_(\w+)\.whl$", wheel.name)
    needed = re.fullmatch(r"(many|musl)linux_(\d+)_(\d+)_(\w+)", target.platform)
    assert needed
    if found is None or found[1] != needed[1] or found[4] != needed[4]:
        yield f"it is not for {target.platform}"
    elif (int(found[2]), int(found[3])) > (int(needed[2]), int(needed[3])):
        yield f"it needs a newer C library than {target.platform}"
    size = wheel.stat().st_size
    if size >= LIMIT:
        yield f"{size:,} bytes, {LIMIT:,} at most"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        for module in MODULES:
            found = [n for n in names if re.match(rf".*/{module}\.cpython-.*\.so$", n)]
            if len(found) != 1:
                yield f"{len(found)} files of {module}"
            for name in found:
                yield from _of_library(name, archive.read(name))
        if "django_async_fast/py.typed" not in names:
            yield "no py.typed"
        if not any(name.endswith("licenses/LICENSE") for name in names):
            yield "no LICENSE"
        for name in [n for n in names if n.endswith("sboms/contents.cdx.json")] or [""]:
            if not name or b"pkg:cargo/pyo3@" not in archive.read(name):
                yield "no list of what is linked into it"
        if strangers := [n for n in names if n.endswith((".c", ".pyx", ".pxi", ".rs"))]:
            yield f"sources: {strangers}"


def _of_library(name: str, content: bytes) -> Iterator[str]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        read = ["readelf", "--wide", "--sections", "--dynamic", file.name]
        done = subprocess.run(read, stdout=subprocess.PIPE, text=True, check=True)
    if left := SYMBOLS.findall(done.stdout):
        yield f"{name} is not stripped: {', '.join(left)}"
    for library in NEEDED.findall(done.stdout):
        if not LIBRARIES.fullmatch(library):
            yield f"{name} needs {library}"


def digest(wheel: Path) -> str:
    return hashlib.sha256(wheel.read_bytes()).hexdigest()

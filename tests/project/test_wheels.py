"""The tools that build wheels refuse what must not be published."""

import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from django_async_fast import _native
from tools.wheels import build, check
from tools.wheels.targets import PYTHONS, TARGETS

MANYLINUX = next(t for t in TARGETS if t.platform == "manylinux_2_28_x86_64")
NAME = "django_async_fast-1-cp313-cp313-manylinux_2_28_x86_64.whl"
GOOD = {
    "django_async_fast/_rows.cpython-313-x86_64-linux-gnu.so": "",
    "django_async_fast/_decode.cpython-313-x86_64-linux-gnu.so": "",
    "django_async_fast/py.typed": "",
    "django_async_fast-1.dist-info/licenses/LICENSE": "",
    "django_async_fast-1.dist-info/sboms/contents.cdx.json": '"pkg:cargo/pyo3@0.30.0"',
}

Make = Callable[..., list[str]]


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function: what is wrong with a wheel of these files."""
    monkeypatch.setattr(check, "_of_library", lambda name, content: ())

    def found(name: str = NAME, **files: str | bytes) -> list[str]:
        wheel = tmp_path / name
        with zipfile.ZipFile(wheel, "w") as archive:
            for each, content in (GOOD | files).items():
                if content is not None:
                    archive.writestr(each, content)
        return list(check.faults(wheel, MANYLINUX))

    return found


def test_a_good_wheel_has_no_fault(faults: Make) -> None:
    assert faults() == []
    assert faults(NAME.replace("2_28", "2_17")) == []


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        (NAME.replace("2_28", "2_31"), {}, "newer C library"),
        (NAME.replace("x86_64", "aarch64"), {}, "not for manylinux_2_28_x86_64"),
        (NAME.replace("manylinux_2_28", "musllinux_1_2"), {}, "not for"),
        (NAME, {"django_async_fast/py.typed": None}, "no py.typed"),
        (NAME, {"django_async_fast-1.dist-info/sboms/contents.cdx.json": ""}, "linked"),
        (NAME, {"django_async_fast/_rows.pyx": ""}, "sources"),
        (NAME, {next(iter(GOOD)): None}, "0 files of _rows"),
        (NAME, {"large": os.urandom(check.LIMIT)}, "at most"),
    ],
)
def test_a_fault_is_named(
    faults: Make, name: str, files: dict[str, str], said: str
) -> None:
    (fault,) = faults(name, **files)
    assert said in fault


def test_symbols_and_strange_libraries_are_faults(tmp_path: Path) -> None:
    library = tmp_path / "odd.so"
    make = ["cc", "-g", "-shared", "-x", "c", os.devnull, "-o", library]
    subprocess.run(make, check=True)
    said = list(check._of_library("odd", library.read_bytes()))
    assert any(".symtab" in each for each in said)
    rows = Path(_native.rows.__file__).read_bytes()
    assert not any("needs" in each for each in check._of_library("rows", rows))


def test_zig_links_for_the_glibc_that_is_named(tmp_path: Path) -> None:
    for name in ("cargo", "cargo-zigbuild"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" "[${{CARGO:-}}]"\n')
        program.chmod(0o755)

    def said(*arguments: str, glibc: str) -> str:
        environ = os.environ | {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "CARGO": str(build.CARGO),
            "WHEELS_GLIBC": glibc,
        }
        run = [build.CARGO, *arguments]
        return subprocess.run(
            run, env=environ, stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()

    target = ("--target", "x86_64-unknown-linux-gnu")
    assert (
        said("metadata", *target, glibc="2.28")
        == f"cargo metadata {' '.join(target)} []"
    )
    assert said("rustc", *target, "--", "-C x", glibc="2.28") == (
        f"cargo-zigbuild rustc {' '.join(target)}.2.28 -- -C x []"
    )
    musl = ("rustc", "--target", "x86_64-unknown-linux-musl")
    assert said(*musl, glibc="") == f"cargo-zigbuild {' '.join(musl)} []"


def test_the_classifiers_are_what_wheels_are_built_for() -> None:
    text = (build.CARGO.parents[2] / "pyproject.toml").read_text()
    for version in PYTHONS:
        assert f'"Programming Language :: Python :: {version}"' in text
        assert f"cp{version.replace('.', '')}-*" in text

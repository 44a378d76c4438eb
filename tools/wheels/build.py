"""Build one wheel out of the sdist."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from .targets import Target

CARGO = Path(__file__).with_name("cargo")
CONTENTS = Path(__file__).with_name("contents.py")


class Build:
    """A folder to build in; what is built does not depend on where it is."""

    def __init__(self, sdist: Path, at: Path, tools: Path, date: str) -> None:
        self.sdist = sdist
        # Of every file in the wheel: seconds since 1970.
        self.date = date
        self.at = at
        # The environment that has zig, cargo-zigbuild and auditwheel.
        self.tools = tools

    def wheel(self, python: Path, version: str, target: Target, out: Path) -> Path:
        """Build it with `python`, check and name it with auditwheel. Returns it."""
        source, made = self.at / "source", self.at / "made"
        for folder in (source, made):
            shutil.rmtree(folder, ignore_errors=True)
        with tarfile.open(self.sdist) as archive:
            archive.extractall(source, filter="data")
        (tree,) = source.iterdir()
        build = [python, "-m", "build", "--wheel", "--no-isolation", "--outdir", made]
        self._run(*build, tree, env=self._environ(python, version, target, tree))
        (found,) = made.glob("*.whl")
        auditwheel = self.tools / "bin" / "auditwheel"
        self._run(
            *(auditwheel, "repair", "--only-plat", "--patcher", "none"),
            # musl's loader knows itself by that name; auditwheel, by Alpine's alone.
            *("--exclude", "libc.so"),
            *("--wheel-dir", out, found),
            env=self._always(),
        )
        wheel = max(out.glob("*.whl"), key=lambda each: each.stat().st_mtime_ns)
        contents = self.tools / "bin" / "python", CONTENTS
        self._run(*contents, wheel, env=self._always())
        return wheel

    def _environ(
        self, python: Path, version: str, target: Target, tree: Path
    ) -> dict[str, str]:
        cargo_target = self.at / "target"
        if shared := os.environ.get("CARGO_TARGET_DIR"):
            cargo_target = Path(shared) / self.at.name
        zig = f"{self.tools}/bin/python -m ziglang cc -target {target.zig}"
        here = _includes(version, self.at / "include")
        found = {
            "CC": zig,
            "CFLAGS": f"-g0 -I{here} -ffile-prefix-map={tree}=.",
            "LDSHARED": f"{zig} -shared -s",
            "CARGO": str(CARGO),
            "CARGO_BUILD_TARGET": target.rust,
            "CARGO_TARGET_DIR": str(cargo_target),
            "CARGO_PROFILE_RELEASE_STRIP": "symbols",
            "RUSTFLAGS": " ".join(_rust_flags(target, tree, cargo_target)),
            "WHEELS_GLIBC": target.zig.partition("-gnu.")[2],
            "PYO3_CROSS_PYTHON_VERSION": version,
            "SETUPTOOLS_EXT_SUFFIX": (
                f".cpython-{version.replace('.', '')}-{target.suffix}.so"
            ),
            "_PYTHON_HOST_PLATFORM": f"linux-{target.machine}",
        }
        if not has_std(target):
            found |= {
                "CARGO_UNSTABLE_BUILD_STD": "std,panic_unwind",
                "RUSTC_BOOTSTRAP": "1",
            }
        return self._always() | found

    def _always(self) -> dict[str, str]:
        return os.environ | {
            "PATH": f"{self.tools}/bin:{os.environ['PATH']}",
            "SOURCE_DATE_EPOCH": self.date,
            "PYTHONHASHSEED": "0",
        }

    def _run(self, *command: str | Path, env: dict[str, str]) -> None:
        log = self.at / "log"
        with log.open("w") as out:
            done = subprocess.run(
                command, env=env, stdout=out, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode:
            raise SystemExit(f"{log.read_text()[-6000:]}\n{command[0]} has failed.")


def _rust_flags(target: Target, tree: Path, cargo_target: Path) -> list[str]:
    cargo = os.environ.get("CARGO_HOME", Path.home() / ".cargo")
    paths = {tree: ".", cargo_target: "target", cargo: "cargo"}
    flags = [f"--remap-path-prefix={path}={name}" for path, name in paths.items()]
    if target.rust.endswith("musl"):
        flags.append("-Ctarget-feature=-crt-static")
    return flags


def has_std(target: Target) -> bool:
    """Return whether rustc has a standard library for it, which need not be built."""
    library = _sysroot() / "lib" / "rustlib" / target.rust / "lib"
    return any(library.glob("libstd-*.rlib"))


def missing(target: Target) -> str:
    """Return what would make it possible to build for it here, or ''."""
    sources = _sysroot() / "lib" / "rustlib" / "src" / "rust" / "library"
    if has_std(target) or sources.exists():
        return ""
    return f"`rustup target add {target.rust}`, or Debian's rustc with rust-src"


def _sysroot() -> Path:
    ask = ["rustc", "--print", "sysroot"]
    done = subprocess.run(ask, stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())


def _includes(version: str, at: Path) -> Path:
    """Return a folder in which Debian's Python.h finds its pyconfig.h.

    That of x86-64 serves for aarch64 and for musl: types are of the same sizes.
    """
    shutil.rmtree(at, ignore_errors=True)
    at.mkdir(parents=True)
    of_debian = Path("/usr/include/x86_64-linux-gnu")
    if (of_debian / f"python{version}").exists():
        for machine in ("x86_64", "aarch64"):
            at.joinpath(f"{machine}-linux-gnu").symlink_to(of_debian)
    return at

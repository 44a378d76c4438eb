"""`python -m tools.wheels.contents WHEEL...`: writes into each what is linked into it.

A CycloneDX document in `.dist-info/sboms/`, where auditing tools look: the package, and
each Rust crate of `_decode` with its version, checksum and licence. It depends on
rust/Cargo.lock alone, so that a wheel that is built again stays the same.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

RUST = Path(__file__).resolve().parents[2] / "rust"
PROJECT = tomllib.loads((RUST.parent / "pyproject.toml").read_text())["project"]


def document(name: str, version: str) -> str:
    """Return the list of what a wheel of the package contains, as CycloneDX's JSON."""
    package = Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=name,
        purl=PackageURL("pypi", None, name, version),
        licenses=[LicenseExpression(PROJECT["license"])],
    )
    bom = Bom(metadata=BomMetaData(component=package), components=crates())
    bom.register_dependency(package, bom.components)
    # What tells two documents apart is left out: a number by chance, and the time.
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{package.purl}")
    outputter = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    found: dict[str, Any] = json.loads(outputter.output_as_string())
    del found["metadata"]["timestamp"]
    return json.dumps(found, indent=1, sort_keys=True)


def crates() -> Iterator[Component]:
    """Yield the crates that are linked into `_decode`, of whatever platform."""
    sums = {
        (each["name"], each["version"]): each.get("checksum")
        for each in tomllib.loads((RUST / "Cargo.lock").read_text())["package"]
    }
    for crate in _linked(_metadata()):
        which = crate["name"], crate["version"]
        checksum = sums[which]
        yield Component(
            name=crate["name"],
            version=crate["version"],
            type=ComponentType.LIBRARY,
            bom_ref="@".join(which),
            purl=PackageURL("cargo", None, *which) if checksum else None,
            licenses=[LicenseExpression(crate["license"].replace("/", " OR "))],
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)]
            if checksum
            else (),
        )


def _metadata() -> dict[str, Any]:
    ask = ["cargo", "metadata", "--format-version=1", "--locked"]
    done = subprocess.run(ask, cwd=RUST, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _linked(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the packages that end up in `_decode`, in order of their names.

    Not what only compiles it: build scripts, macros, and what these need.
    """
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    macros = {
        package["id"]
        for package in metadata["packages"]
        if any("proc-macro" in target["kind"] for target in package["targets"])
    }
    root = metadata["resolve"]["root"]
    reached, left = set(), [root]
    while left:
        node = nodes[left.pop()]
        if node["id"] in reached:
            continue
        reached.add(node["id"])
        left += [
            each["pkg"]
            for each in node["deps"]
            if each["pkg"] not in macros
            and any(kind["kind"] is None for kind in each["dep_kinds"])
        ]
    packages = [p for p in metadata["packages"] if p["id"] in reached - {root}]
    return sorted(packages, key=lambda each: (each["name"], each["version"]))


def write(wheel: Path) -> None:
    """Add the document to a wheel, in the place of the one that it may have.

    Every file in it is of SOURCE_DATE_EPOCH, where that is set.
    """
    with tempfile.TemporaryDirectory() as folder:
        _wheel("unpack", wheel, "--dest", folder)
        (tree,) = Path(folder).iterdir()
        sboms = tree / f"{tree.name}.dist-info" / "sboms"
        sboms.mkdir(exist_ok=True)
        name, version = tree.name.split("-")
        text = document(name.replace("_", "-"), version)
        (sboms / "contents.cdx.json").write_text(text)
        _wheel("pack", tree, "--dest-dir", wheel.parent)


def _wheel(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "wheel", *arguments]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    for each in sys.argv[1:]:
        write(Path(each))

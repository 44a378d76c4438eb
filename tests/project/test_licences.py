"""What is linked into a wheel, or installed with it, may be used as the package is."""

import json
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest

RUST = Path(__file__).parents[2] / "rust"
PROJECT = tomllib.loads((RUST.parent / "pyproject.toml").read_text())["project"]
# psycopg is linked dynamically, and can be exchanged by whoever installs it.
ALLOWED = re.compile(r"BSD|MIT|LGPL-3\.0|GNU Lesser General Public License v3|PSF")


def allowed(expression: str, licences: set[str]) -> bool:
    """Return whether an SPDX expression of `OR` and `AND` can be met."""
    every = re.sub(r"[()]", "", expression).split(" AND ")
    return all(licences & set(re.split(r" OR |/", each)) for each in every)


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("MIT OR GPL-3.0", True),
        ("GPL-3.0", False),
        ("(MIT OR Apache-2.0) AND GPL-3.0", False),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
    ],
)
def test_an_expression_is_met_by_one_of_each_part(expression: str, fine: bool) -> None:
    assert allowed(expression, {"MIT", "Unicode-3.0"}) is fine


@pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")
def test_the_crates_licences_are_allowed() -> None:
    licences = tomllib.loads((RUST / "deny.toml").read_text())["licenses"]["allow"]
    ask = ["cargo", "metadata", "--format-version=1", "--locked"]
    done = subprocess.run(ask, cwd=RUST, stdout=subprocess.PIPE, text=True, check=True)
    packages: list[dict[str, Any]] = json.loads(done.stdout)["packages"]
    assert any(package["name"] == "pyo3" for package in packages)
    refused = [
        f"{package['name']}: {package['license']}"
        for package in packages
        if not allowed(package["license"] or "none", set(licences))
    ]
    assert refused == []


@pytest.mark.parametrize("requirement", PROJECT["dependencies"])
def test_the_dependencies_licences_are_allowed(requirement: str) -> None:
    found = metadata(re.split(r"[<>=\[]", requirement)[0])
    said = [found.get("License-Expression"), found.get("License")]
    said += found.get_all("Classifier") or []
    assert any(ALLOWED.search(each) for each in said if each)

"""A new release of Django or psycopg that changes what we stand on fails here."""

import re
from pathlib import Path

import pytest

from . import canaries

KNOWN = canaries.known_prints()
ROOT = Path(__file__).parents[2]
# `connections/wrapper.py: connect, finish`
STANDS_ON = re.compile(r"([\w/]+\.(?:py|pxi))(?:: ((?:[\w.]+(?:, (?![\w/]+\.py))?)+))?")


@pytest.mark.parametrize("name", canaries.watched())
def test_the_code_we_stand_on_is_unchanged(name: str) -> None:
    release = canaries.release(name)
    prints = KNOWN.get(name, {})
    # A release nobody has looked at must look like one that somebody has.
    known = {prints[release]} if release in prints else set(prints.values())
    assert canaries.print_of(name) in known, _advice(name, release)


def _advice(name: str, release: str) -> str:
    return (
        f"{name} of {release} is not as it was when django_async_fast was written. "
        f"What stands on it: {canaries.watched()[name]} Read what changed, adapt that, "
        "then run `python -m tests.project.canaries`."
    )


@pytest.mark.parametrize("name", sorted(canaries.WATCHED))
def test_what_stands_on_it_is_there(name: str) -> None:
    found = STANDS_ON.findall(canaries.WATCHED[name])
    assert found
    for file, names in found:
        root = ROOT if file.startswith("native/") else ROOT / "django_async_fast"
        text = (root / file).read_text()
        for each in filter(None, names.split(", ")):
            assert re.search(rf"\b{each.rpartition('.')[2]}\b", text), (
                f"{each} in {file}"
            )

"""The pages of the documentation, and the code blocks in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^( *)```([\w{}-]*)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A code block: its language, its text, and the line of its page before it."""

    page: Path
    language: str
    text: str
    line: int

    @property
    def in_place(self) -> str:
        """The text with the line numbers of the page."""
        return "\n" * self.line + self.text


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """Yield the blocks of a page that are in one of the languages."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        if found[2] in languages:
            line = text.count("\n", 0, found.start(3))
            yield Block(page, found[2], found[3], line)


def name(page: Path) -> str:
    return page.stem

"""What probes of a server have found, as a table."""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple, TextIO

YES, NO, NOTE = "yes", "NO", "note"


class Answer(NamedTuple):
    """What a probe has found."""

    subject: str
    level: str
    text: str


def write(out: TextIO, alias: str, found: list[Answer]) -> int:
    """Write the answers as a table; return 1 if something is lacking, else 0."""
    if find_spec("rich") is not None and out is sys.stdout:
        _write_rich(alias, found)
    else:
        _write_plain(out, alias, found)
    return int(any(level == NO for _, level, _ in found))


def _write_plain(out: TextIO, alias: str, found: list[Answer]) -> None:
    width = max(len(subject) for subject, *_ in found)
    out.write(f"{alias}\n")
    out.writelines(
        f"  {subject:<{width}}  {level:<4}  {text}\n" for subject, level, text in found
    )


def _write_rich(alias: str, found: list[Answer]) -> None:
    table = import_module("rich.table").Table(title=alias, show_header=False)
    text = import_module("rich.text").Text
    colours = {YES: "green", NO: "bold red", NOTE: "yellow"}
    for subject, level, said in found:
        table.add_row(subject, text(level, colours[level]), text(said))
    import_module("rich.console").Console().print(table)

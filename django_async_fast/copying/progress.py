"""How far a COPY is, for people: a bar on the terminal, where rich is installed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

try:
    from rich.console import Console
    from rich.progress import (
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TimeRemainingColumn,
    )
except ImportError:
    HAS_RICH = False
else:
    HAS_RICH = True


@contextmanager
def bar(
    title: str, total: Callable[[], int | None], stream: Any, in_bytes: bool = False
) -> Iterator[Callable[[int], object] | None]:
    """Return what is to be told how far it is; None where nobody would see it."""
    if not HAS_RICH or not stream.isatty():
        yield None
        return
    amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
    shown = (*Progress.get_default_columns()[:2], amount, TimeRemainingColumn())
    with Progress(*shown, console=Console(file=stream)) as progress:
        task = progress.add_task(title, total=total())
        yield lambda done: progress.update(task, completed=done)

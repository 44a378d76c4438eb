"""What the commands `export` and `import` have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from .statements import FORMATS


class CopyCommand(BaseCommand):
    """A COPY of one model's table and one file."""

    # The option for `pairs()`, which may be given more than once: its form, its help.
    pairs_option: str
    pairs_form: str
    pairs_help: str

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", help="as in shop.Book")
        parser.add_argument("file", nargs="?", default="-", help="- is the terminal's")
        parser.add_argument("--format", choices=FORMATS, default="csv")
        parser.add_argument("--fields", help="names with commas between them")
        parser.add_argument("--no-header", action="store_false", dest="header")
        parser.add_argument("--database", help="an alias of DATABASES")
        parser.add_argument(
            self.pairs_option,
            action="append",
            default=[],
            metavar=self.pairs_form,
            help=self.pairs_help,
        )


def model(name: str) -> Any:
    """Return a model by its label."""
    try:
        return apps.get_model(name)
    except (LookupError, ValueError) as exc:
        raise CommandError(str(exc)) from exc


def pairs(given: list[str]) -> dict[str, str]:
    """Return what `NAME=VALUE`s say."""
    if wrong := [each for each in given if "=" not in each]:
        raise CommandError(f"{wrong[0]!r} is not of the form NAME=VALUE")
    return dict(each.split("=", 1) for each in given)


@contextmanager
def told() -> Iterator[None]:
    """Let errors of the database, of files and of names be a command's."""
    try:
        yield
    except (Error, OSError, ValueError, FieldDoesNotExist, FieldError) as exc:
        raise CommandError(str(exc)) from exc

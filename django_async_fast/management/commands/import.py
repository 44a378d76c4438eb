"""`manage.py import shop.Book books.csv`: a file's rows into a model, by COPY."""

import sys
from pathlib import Path
from typing import Any

from ...copying import commands, progress
from ...copying.load import copy_from


class Command(commands.CopyCommand):
    """Inserts all that a file has, or nothing."""

    help = "Insert a file's rows into a model's table: all of them, or none."
    pairs_option, pairs_form = "--map", "NAME=FIELD"
    pairs_help = "what a name in the header means: Title=title; more than once"

    def handle(self, *args: Any, **options: Any) -> None:
        model, file = commands.model(options["model"]), options["file"]
        fields: Any = commands.pairs(options["map"]) or None
        if options["fields"]:
            fields = options["fields"].split(",")
        title = str(model._meta.verbose_name_plural)
        source = sys.stdin.buffer if file == "-" else Path(file)

        def size() -> int | None:
            return source.stat().st_size if isinstance(source, Path) else None

        with (
            commands.told(),
            progress.bar(title, size, self.stderr, in_bytes=True) as tell,
        ):
            rows = copy_from(
                model,
                source,
                fields,
                format=options["format"],
                header=options["header"],
                progress=tell,
                using=options["database"],
            )
        if options["verbosity"]:
            self.stdout.write(f"{rows} {title} inserted")

"""`manage.py export shop.Book books.csv`: a model's rows into a file, by COPY."""

from typing import Any

from django.core.management.base import CommandParser

from ...copying import commands, progress
from ...copying.export import copy_to


class Command(commands.CopyCommand):
    """Writes what a queryset has."""

    help = "Write a model's rows to a file, as CSV or in PostgreSQL's own formats."
    pairs_option, pairs_form = "--filter", "LOOKUP=VALUE"
    pairs_help = "only these rows: pages__gte=300; more than once"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        order = "names with commas between them: -pages,title"
        parser.add_argument("--order", help=order)

    def handle(self, *args: Any, **options: Any) -> None:
        model, file = commands.model(options["model"]), options["file"]
        with commands.told():
            found = model._default_manager.using(options["database"])
            found = found.filter(**commands.pairs(options["filter"]))
            if options["order"]:
                found = found.order_by(*options["order"].split(","))
            if options["fields"]:
                found = found.values_list(*options["fields"].split(","))
            if file == "-":
                file = self.stdout._out
                file = getattr(file, "buffer", file)
            title = str(model._meta.verbose_name_plural)
            with progress.bar(title, found.count, self.stderr) as tell:
                rows = copy_to(
                    found,
                    file,
                    format=options["format"],
                    header=options["header"],
                    progress=tell,
                )
        if options["file"] != "-" and options["verbosity"]:
            self.stdout.write(f"{rows} {title} in {options['file']}")

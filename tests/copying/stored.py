"""What a table holds, and what it would hold if Django had written it."""

import io
from typing import Any

from django_async_fast import copy_to


def stored(model: Any, *names: str) -> list[str]:
    """Return a table's rows, as the server prints them."""
    rows = model.objects.order_by("pk").values_list(*names)
    file = io.StringIO(newline="")
    copy_to(rows, file, format="text", header=False)
    return file.getvalue().splitlines(keepends=True)


def by_django(model: Any, names: list[str], rows: list[Any]) -> list[str]:
    """Return the same of rows that Django inserts, and delete them."""
    model.objects.all().delete()
    model.objects.bulk_create(
        [model(**dict(zip(names, row, strict=True))) for row in rows]
    )
    found = stored(model, *names)
    model.objects.all().delete()
    return found

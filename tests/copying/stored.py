"""What a table holds, and what it would hold if Django had written it."""

import io
from typing import Any

from django_async_fast import copy_from, copy_to


def stored(model: Any, *names: str) -> list[str]:
    """Return a table's rows, as the server prints them."""
    rows = model.objects.order_by("pk").values_list(*names)
    file = io.StringIO(newline="")
    copy_to(rows, file, format="text", header=False)
    return file.getvalue().splitlines(keepends=True)


def by_django(model: Any, names: list[str], rows: list[Any]) -> list[str]:
    """Return the same of rows that Django inserts, and delete them."""
    model.objects.all().delete()
    model.objects.bulk_create(objects(model, names, rows))
    found = stored(model, *names)
    model.objects.all().delete()
    return found


def objects(model: Any, names: list[str], rows: list[Any]) -> list[Any]:
    return [model(**dict(zip(names, row, strict=True))) for row in rows]


def assert_like_django(model: Any, names: list[str], rows: list[Any]) -> list[str]:
    """Assert that copy_from() writes what Django inserts; return it, and delete it."""
    expected = by_django(model, names, rows)
    assert copy_from(model, iter(rows), names) == len(rows)
    assert stored(model, *names) == expected
    model.objects.all().delete()
    return expected

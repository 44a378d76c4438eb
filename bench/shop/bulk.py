"""Many rows written at once, or found by key, as users do, and what is there then.

Imported once Django is set up. The rows are made, and looked at afterwards, over a
connection of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import dataset
from .models import Written

ALL = f"SELECT {', '.join(dataset.COLUMNS)} FROM bench_written ORDER BY id"


@dataclass(frozen=True)
class Bulk:
    """One way to write: its objects, and the row that an id must have afterwards."""

    prepare: Callable[[Any, int], list[Any]]
    ask: Callable[[Any, list[Any]], Any]
    row: Callable[[int], tuple[Any, ...]]

    def check(self, connection: Any, count: int) -> str:
        """Return what is wrong with the table, or ''."""
        rows = connection.execute(ALL).fetchall()
        if len(rows) != count:
            return f"{len(rows)} rows, not {count}"
        for i, got in enumerate(rows, 1):
            if got != (wanted := self.row(i)):
                return f"got {got!r}, not {wanted!r}"
        return ""


def _objects(connection: Any, count: int) -> list[Any]:
    connection.execute("TRUNCATE bench_written RESTART IDENTITY")
    rows = map(dataset.person, range(1, count + 1))
    names = dataset.COLUMNS[1:]
    return [Written(**dict(zip(names, row[1:], strict=True))) for row in rows]


def _changed_objects(connection: Any, count: int) -> list[Any]:
    objs = _objects(connection, count)
    connection.execute(
        "INSERT INTO bench_written SELECT * FROM bench_person WHERE id <= %s", [count]
    )
    connection.execute("VACUUM (ANALYZE) bench_written")
    for i, each in enumerate(objs, 1):
        each.pk, each.age, each.name = i, each.age + 1, f"{each.name} again"
    return objs


def _keys(connection: Any, count: int) -> list[Any]:
    return [each.pk for each in _changed_objects(connection, count)]


def _changed(i: int) -> tuple[Any, ...]:
    key, name, email, age, *others = dataset.person(i)
    return key, f"{name} again", email, age + 1, *others


BULK = {
    "create": Bulk(
        _objects,
        lambda do, objs: do.method("bulk_create", Written.objects, objs),
        dataset.person,
    ),
    "update": Bulk(
        _changed_objects,
        lambda do, objs: do.method(
            "bulk_update", Written.objects, objs, ["age", "name"]
        ),
        _changed,
    ),
    "find": Bulk(
        _keys,
        lambda do, keys: do.rows(Written.objects.filter(pk__in=keys)),
        dataset.person,
    ),
}

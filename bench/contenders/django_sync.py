"""Django's synchronous API: the same code in stock Django and with this package."""

import csv
import io
from collections.abc import Callable
from functools import partial
from typing import Any

from bench.contenders import BULK_WRITES, QUERY_NAMES, Contender
from bench.harness.timed_run import TimedRun
from bench.shop import dataset

CHUNK = 2_000

Find = Callable[[], Any]


def _query(name: str) -> Any:
    from bench.shop import queries

    return queries.QUERIES[name]


def _bulk(name: str) -> Any:
    from bench.shop import bulk

    return bulk.BULK[name]


# Case -> what finds its query, or its write, once Django is there.
QUERIES: dict[str, Find] = {
    f"query_{name}": partial(_query, name) for name in QUERY_NAMES
}
BULK: dict[str, Find] = {
    f"bulk_{name}_{size}": partial(_bulk, name)
    for name, sizes in BULK_WRITES.items()
    for size in sizes
}


# Case -> the querysets that it streams.
STREAMS: dict[str, Callable[[Any], Any]] = {
    "stream_instances": lambda objects: objects.all(),
    "stream_tuples": lambda objects: objects.values_list(),
    "stream_dicts": lambda objects: objects.values(),
}


class DjangoSync(Contender):
    """The ways that are synchronous; `open()` sets `person` and `written`."""

    person: Any
    written: Any

    def sync_iterator(self, timed: TimedRun) -> None:
        timed.loop(lambda: self.person.objects.iterator(CHUNK))

    def sync_list(self, timed: TimedRun) -> None:
        timed.loop(lambda: list(self.person.objects.all()))

    def select_related__sync_list(self, timed: TimedRun) -> None:
        people = self.person.objects.select_related("company__city")
        timed.loop(lambda: list(people.all()))

    def export_csv__sync(self, timed: TimedRun) -> None:
        timed.swallow(self._write_csv)

    def _write_csv(self) -> int:
        file = io.StringIO()
        rows = csv.writer(file)
        rows.writerow(dataset.COLUMNS)
        rows.writerows(self.person.objects.values_list().iterator(CHUNK))
        return file.getvalue().count("\n") - 1

    def import_tuples__sync(self, timed: TimedRun) -> None:
        """By `bulk_create()`, which fetches keys, too."""
        from django.db import connection

        rows, create = dataset.people(timed.rows), self.written.objects.bulk_create
        with connection.cursor() as cursor:
            cursor.execute(dataset.EMPTY)
        timed.swallow(
            lambda: len(create([self.written(*row) for row in rows], batch_size=CHUNK))
        )

    def get_by_key__sync(self, timed: TimedRun) -> None:
        timed.repeat_sync(lambda key: self.person.objects.get(pk=key))


def _stream(rows: Callable[[Any], Any]) -> Any:
    def method(self: DjangoSync, timed: TimedRun) -> None:
        timed.loop(lambda: rows(self.person.objects).iterator(CHUNK))

    return method


def _now(find: Find, now: Any) -> Any:
    def method(self: DjangoSync, timed: TimedRun) -> None:
        from bench.shop.queries import Now

        now(timed, find(), Now)

    return method


for _case, _rows in STREAMS.items():
    setattr(DjangoSync, f"{_case}__sync", _stream(_rows))
for _case, _find in QUERIES.items():
    setattr(DjangoSync, f"{_case}__sync", _now(_find, TimedRun.now))
for _case, _find in BULK.items():
    setattr(DjangoSync, f"{_case}__sync", _now(_find, TimedRun.written_now))

"""Django's synchronous API: the same code in stock Django and with this package."""

from __future__ import annotations

import csv
import io
from typing import Any

from bench.contenders import Contender
from bench.harness.timed_run import TimedRun
from bench.shop import dataset

CHUNK = 2_000


class DjangoSync(Contender):
    """The ways that are synchronous; `open()` sets `person` and `written`."""

    person: Any
    written: Any

    def stream_instances__sync(self, timed: TimedRun) -> None:
        timed.loop(lambda: self.person.objects.iterator(CHUNK))

    sync_iterator = stream_instances__sync

    def stream_tuples__sync(self, timed: TimedRun) -> None:
        timed.loop(lambda: self.person.objects.values_list().iterator(CHUNK))

    def stream_dicts__sync(self, timed: TimedRun) -> None:
        timed.loop(lambda: self.person.objects.values().iterator(CHUNK))

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

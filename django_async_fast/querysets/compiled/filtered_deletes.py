"""`QuerySet.delete()` of a queryset that is a path, without a look at its rows.

Django's Collector says whether they need one, deletes, and counts. What is taken down
is the statement of `_raw_delete()`: the rows that point to a deleted one have it too.
"""

from functools import wraps
from typing import Any

from django.db.models import QuerySet, query, sql
from django.db.models.deletion import Collector

from ...unpatched import Unpatched, unpatched_class
from . import writes
from .filtered_writes import FilteredCall
from .keys import Refused
from .paths import STEPS, peeking
from .steps import path_of

# What is not called here, or is as Django's Collector has it.
_OF_QUERYSET = "_chain", "_clone", "_raw_delete", "db"
_collects = Unpatched((Collector, Collector))


@wraps(QuerySet.delete)
def delete(self: Any) -> Any:
    path = path_of(self)
    if path is not None and path.limits is None and self._fields is None:
        own = unpatched_class(type(self), QuerySet, _OF_QUERYSET)
        holds = query.Collector is Collector and own.holds() and _collects.holds()
        if holds and not _locks(self, path):
            rows = self._chain()
            # Whether it can is a matter of models. Routers are not asked in vain.
            if Collector(using="", origin=self).can_fast_delete(rows):
                rows._for_write = True
                collector = Collector(using=rows.db, origin=self)
                collector.fast_deletes.append(rows)
                deleted = collector.delete()
                self._result_cache = None
                return deleted
    return delete.__wrapped__(self)


def _locks(queryset: Any, path: Any) -> bool:
    """Tell whether its rows are to be locked, which Django's delete() takes back."""
    try:
        return bool(peeking(queryset, path).query.select_for_update)
    except Refused:
        return True


@wraps(QuerySet._raw_delete)
def raw_delete(self: Any, using: str) -> Any:
    # Tools show what is in the frames around a query: see execution.get().
    path = path_of(self)
    run = None
    if path is not None and path.limits is None and not STEPS.is_forgotten(self):
        run = writes.run_of(_Call(self, path, using))
    if run is None:
        call = [self]
        del self, path
        return raw_delete.__wrapped__(call.pop(), using)
    del self, path
    return run()


class _Call(FilteredCall):
    def __init__(self, queryset: Any, path: Any, using: str) -> None:
        super().__init__(queryset, path, using)
        self.key = "delete", using

    def compiler(self, query: Any, *, is_blank: bool = False) -> Any:
        query = query.clone()
        query.__class__ = sql.DeleteQuery
        return query.get_compiler(self.using)

"""Calls of querysets that do one read and no more, which may go together with others.

In: a call that waits for its turn on a connection; the statement that it sends then.
Out: that it is one, and that nothing of the project's is called with its rows.
Next: `drivers/psycopg/read_pipelines.py`.
"""

from types import MethodType
from typing import Any

from django.db.models import QuerySet

from ... import bridge
from ...tasks.units import Read
from ...unpatched import Unpatched
from .. import iterables
from .paths import PATH

# They look at the query, and call those that read.
_AROUND = ("earliest", "first", "last", "latest")
_djangos = Unpatched((QuerySet, QuerySet, _AROUND))

# Function -> whether a queryset keeps what it finds, or finds what it has kept.
READS: dict[Any, bool] = {}


def as_read(function: list[Any]) -> Read | None:
    """Return what is known of a call if it does one read, else None."""
    method = function[-1]
    if type(method) is not MethodType or not isinstance(method.__self__, QuerySet):
        return None
    keeps = READS.get(method.__func__)
    values = method.__self__.__dict__
    if (
        keeps is None
        or PATH not in values
        or values["_prefetch_related_lookups"]
        or values["_iterable_class"] not in iterables.WITH_THE_CORE
        or not _djangos.holds()
    ):
        return None
    return Read(method.__self__ if keeps else None)


def announced(statement: Any) -> None:
    """Note that the call in progress sends `statement` next."""
    call = bridge.current_call()
    if call is not None and call.read is not None:
        call.read.ready = not statement.calls_project

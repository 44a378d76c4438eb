"""The methods of Django's that write, and what stands in their place."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Model, QuerySet
from django.db.models.sql import DeleteQuery
from django.db.models.sql.compiler import SQLInsertCompiler

from ..unpatched import is_like
from .bulk import inserts as bulk_inserts
from .bulk import updates as bulk_updates
from .compiled import (
    deletes,
    filtered_deletes,
    filtered_updates,
    inserts,
    saves,
    updates,
)

REPLACED = (
    (QuerySet, "_insert", inserts.insert),
    (QuerySet, "update", filtered_updates.update),
    (QuerySet, "delete", filtered_deletes.delete),
    (QuerySet, "_raw_delete", filtered_deletes.raw_delete),
    (Model, "_do_update", updates.do_update),
    (Model, "_save_table", saves.save_table),
    (DeleteQuery, "delete_batch", deletes.delete_batch),
)
OF_MANY = (
    (SQLInsertCompiler, "execute_sql", bulk_inserts.execute_sql),
    (QuerySet, "bulk_update", bulk_updates.bulk_update),
)


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield (owner, name, replacement, reason) for `seams/seam_list.py`."""
    again = "the text of a write like one before is not compiled again"
    arrays = "the values of many objects go as a binary array for each column"
    for replaced, reason in ((REPLACED, again), (OF_MANY, arrays)):
        for owner, name, replacement in replaced:
            # One that a tool has put there runs, and Django's inside of it.
            if is_like(owner, owner, (name,)):
                yield owner, name, replacement, reason

"""Fields of a project whose text and values are those of the present tenant."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from django.db import models

text = partial(models.CharField, max_length=20)
tenant = ContextVar("tenant", default=1)


@contextmanager
def of_tenant(number: int) -> Iterator[None]:
    tenant.set(number)
    try:
        yield
    finally:
        tenant.set(1)


class OfTenant(models.Transform):
    lookup_name = "of_tenant"
    output_field = models.CharField()

    def as_sql(self, compiler: Any, connection: Any, **options: Any) -> Any:
        sql, params = compiler.compile(self.lhs)
        return f"{sql} || '{tenant.get()}'", params


def keys(rows: Any) -> list[Any]:
    return [each.pk for each in rows]

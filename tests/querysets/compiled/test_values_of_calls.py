"""A queryset has the values that its fields and lookups had when its method was called."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import models
from django.db.models import F

from django_async_fast.querysets.compiled import tree

from .tenants import OfTenant, keys, of_tenant, tenant, text

pytestmark = pytest.mark.core


class Prepared(models.CharField):
    """Its values belong to the tenant who has called the method."""

    def get_prep_value(self, value: Any) -> Any:
        return value if value is None or value[0] == "t" else f"t{tenant.get()}{value}"


EVALUATED: dict[str, Callable[[Any], Any]] = {
    "rows": keys,
    "count": lambda rows: [rows.count()],
    "another method": lambda rows: keys(rows.order_by("-pk")),
    "an expression": lambda rows: keys(rows.annotate(n=F("pk") + 1)),
    "a text of the project's": lambda rows: [
        pk for _, pk in rows.values_list("plain__of_tenant", "pk")
    ],
    "the query": lambda rows: str(rows.query),
}


@pytest.mark.parametrize("name", EVALUATED)
@pytest.mark.parametrize("given", [{"key": "x"}, {"key__in": ["x"]}])
def test_values_are_those_of_the_call(
    make: Any, name: str, given: dict[str, Any]
) -> None:
    evaluate = EVALUATED[name]
    secret = make("Secret", key=Prepared(max_length=20), plain=text())
    secret._meta.get_field("plain").register_lookup(OfTenant)
    secret.objects.create(pk=1, key="t1x")
    wanted = "t1x" if name == "the query" else [1]
    for _ in range(5):
        rows = secret.objects.filter(**given)
        with of_tenant(2):
            found = evaluate(rows)
        assert wanted in found if name == "the query" else found == wanted


class Strict(models.CharField):
    """Nobody but a tenant may give it a value, which becomes the tenant's."""

    def get_prep_value(self, value: Any) -> Any:
        if tenant.get() == 0:
            raise ValueError("no tenant")
        return value if value is None else f"t{tenant.get()}{value}"


class TenantExact(models.lookups.Exact):
    lookup_name = "of_tenant"

    def __init__(self, lhs: Any, rhs: Any) -> None:
        super().__init__(lhs, rhs)
        self.tenant = tenant.get()

    def as_sql(self, compiler: Any, connection: Any, **options: Any) -> Any:
        lhs, lhs_params = self.process_lhs(compiler, connection)
        rhs, rhs_params = self.process_rhs(compiler, connection)
        sql = f"{lhs} = 't{self.tenant}' || {rhs}"
        return sql, [*lhs_params, *rhs_params]


GIVEN: dict[str, dict[str, Any]] = {
    "a field's": {"key": "x"},
    "a field's list": {"key__in": ["x"], "pk__gt": 0},
    "a lookup's": {"plain__of_tenant": "x"},
}


@pytest.mark.parametrize(
    "name", ["rows", "count", "another method", "an expression", "the query", "a copy"]
)
@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("other", [0, 2])
def test_a_kept_queryset_has_the_conditions_of_its_call(
    make: Any, name: str, given: str, forgets: bool, other: int
) -> None:
    evaluate = EVALUATED.get(name, lambda rows: keys(rows.all()))
    kept = make("Kept", key=Strict(max_length=20), plain=text())
    kept._meta.get_field("plain").register_lookup(TenantExact)
    kept.objects.create(pk=1, key="x", plain="t1x")
    for _ in range(4):
        for _ in range(3):
            [*kept.objects.filter(**GIVEN[given])]
        rows = kept.objects.filter(**GIVEN[given])
        if forgets:
            tree.clear()
        with of_tenant(other):
            found = evaluate(rows)
        if name == "the query":
            assert "t1" in found
            assert "t2" not in found
        else:
            assert found == [1]

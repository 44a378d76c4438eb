"""Text of a statement that the project's own code writes is asked for each time."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, connection, models, transaction
from django.db.models import Count, F, Max
from django.db.models.expressions import Col
from django.db.models.lookups import BuiltinLookup
from django.db.models.sql.where import WhereNode

from django_async_fast import explain_plan
from tests.support.describe import Queries
from tests.support.noted import noted
from tests.support.without_seams import stock
from tests.testapp.models import Author, Book, Note

from .tenants import OfTenant, keys, of_tenant, tenant, text

pytestmark = pytest.mark.core


class TenantKey(models.ForeignKey):
    """Joins the rows of the present tenant alone."""

    def get_extra_restriction(self, alias: Any, related_alias: Any) -> Any:
        field: Any = self.related_model._meta.get_field("tenant")
        found = WhereNode()
        exact = field.get_lookup("exact")
        found.add(exact(field.get_col(alias), tenant.get()), "AND")
        return found


class JoiningKey(models.ForeignKey):
    """Joins by another column for another tenant."""

    def get_joining_fields(self, reverse_join: bool = False) -> Any:
        found = super().get_joining_fields(reverse_join)
        if tenant.get() == 1:
            return found
        meta = self.model._meta
        return ((meta.get_field("amount"), found[0][1]),)

    def get_joining_columns(self, reverse_join: bool = False) -> Any:
        """Django before 6.0 asks for these."""
        fields = self.get_joining_fields(reverse_join)
        return tuple((mine.column, theirs.column) for mine, theirs in fields)


class Folded(models.CharField):
    """Found whatever its case for another tenant."""

    def get_lookup(self, lookup_name: str) -> Any:
        other = tenant.get() != 1 and lookup_name == "exact"
        return super().get_lookup("iexact" if other else lookup_name)


class Turned(models.Func):
    """In the other direction for another tenant."""

    def as_sql(self, compiler: Any, connection: Any, **options: Any) -> Any:
        sql, params = compiler.compile(self.source_expressions[0])
        return (sql if tenant.get() == 1 else f"-{sql}"), params


class Selected(models.CharField):
    def select_format(self, compiler: Any, sql: str, params: Any) -> Any:
        return f"{sql} || '{tenant.get()}'", params


class Columned(models.CharField):
    """Another column for another tenant."""

    def get_col(self, alias: Any, output_field: Any = None) -> Any:
        plain: Any = self.model._meta.get_field("plain")
        return Col(alias, self if tenant.get() == 1 else plain)


class Converted(models.CharField):
    def get_db_converters(self, connection: Any) -> Any:
        return [] if tenant.get() == 1 else [lambda value, *_: f"{value}2"]


class Moved(models.CharField):
    """In another column for another tenant."""

    column = property(
        lambda self: vars(self)["column"] if tenant.get() == 1 else "plain",
        lambda self, column: vars(self).update(column=column),
    )


class Typed(models.GenericIPAddressField):
    """Compared as text, with its mask, for another tenant."""

    def get_internal_type(self) -> str:
        return "GenericIPAddressField" if tenant.get() == 1 else "CharField"


class Nullable(models.CharField):
    """Without NULL for another tenant."""

    null: Any = property(lambda self: tenant.get() == 1, lambda self, null: None)


class Placed(models.QuerySet[Any]):
    """Where the present tenant's rows are."""

    marked = 0
    _db: Any = property(
        lambda self: None if tenant.get() == 1 else "elsewhere",
        lambda self, value: None,
    )

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__new__(cls)
        made.marked = tenant.get()
        return made


Kinds = dict[str, Any]


@pytest.fixture
def kinds(make: Any) -> Kinds:
    shop = make(
        "Shop",
        tenant=models.IntegerField(),
        name=text(),
        objects=models.Manager(),
        placed=models.Manager.from_queryset(Placed)(),
    )
    sale = make(
        "Sale",
        shop=TenantKey(shop, models.CASCADE, null=True),
        joined=JoiningKey(shop, models.CASCADE, null=True, related_name="+"),
        amount=models.IntegerField(),
    )
    word = make(
        "Word",
        plain=text(),
        selected=Selected(max_length=20),
        converted=Converted(max_length=20),
        ordering=[Turned(F("id"))],
    )
    named = make(
        "Named",
        plain=models.CharField(max_length=20, null=True),
        name=Columned(max_length=20),
        folded=Folded(max_length=20, default="f"),
    )
    host = make("Host", address=Typed(default="1.2.3.4"))
    host.objects.create()
    word._meta.get_field("plain").register_lookup(OfTenant)
    for pk in (1, 2):
        shop.objects.create(pk=pk, tenant=pk, name="shop")
        sale.objects.create(pk=pk, shop_id=pk, joined_id=1, amount=pk)
        word.objects.create(pk=pk, plain="p", selected="s", converted="c")
        named.objects.create(pk=pk, plain="p", name="n")
    return {each.__name__: each.objects for each in (shop, sale, word, named, host)}


READ: dict[str, Callable[[Kinds], Any]] = {
    "a join's fields": lambda kinds: [
        *kinds["Sale"].order_by("pk").values_list("joined__tenant", flat=True)
    ],
    "a field's lookup": lambda kinds: kinds["Named"].filter(folded="F").count(),
    "a field's type": lambda kinds: (
        kinds["Host"].filter(address__endswith=".4").count()
    ),
    "filter": lambda kinds: keys(kinds["Sale"].filter(shop__name="shop")),
    "exclude": lambda kinds: keys(kinds["Sale"].exclude(shop__name="shop")),
    "reverse": lambda kinds: keys(kinds["Shop"].filter(sale__pk__gt=0)),
    "get": lambda kinds: kinds["Sale"].get(shop__name="shop").pk,
    "first": lambda kinds: kinds["Sale"].filter(shop__name="shop").first().pk,
    "select_related": lambda kinds: [
        each.shop and each.shop.pk
        for each in kinds["Sale"].select_related("shop").order_by("pk")
    ],
    "values": lambda kinds: [*kinds["Sale"].order_by("pk").values("shop__name")],
    "sum": lambda kinds: (
        kinds["Sale"].filter(shop__name="shop").aggregate(Max("amount"))
    ),
    "annotate": lambda kinds: [
        *kinds["Shop"].order_by("pk").annotate(n=Count("sale")).values_list("n")
    ],
    "stream": lambda kinds: keys(kinds["Sale"].filter(shop__name="shop").iterator()),
    "a transform": lambda kinds: [*kinds["Word"].values_list("plain__of_tenant")],
    "an order": lambda kinds: keys(kinds["Word"].all()),
    "the last": lambda kinds: kinds["Word"].last().pk,
    "a slice": lambda kinds: keys(kinds["Word"].filter(pk__gt=0)[:1]),
    "a format": lambda kinds: kinds["Word"].get(pk=1).selected,
    "a converter": lambda kinds: kinds["Word"].only("converted").get(pk=1).converted,
    "a column": lambda kinds: kinds["Named"].filter(name="n").count(),
    "a selected column": lambda kinds: [*kinds["Named"].values_list("name", flat=True)],
}


@pytest.mark.parametrize("name", READ)
def test_another_tenant_has_its_own_text(kinds: Kinds, name: str) -> None:
    read = READ[name]
    learnt = [read(kinds) for _ in range(4)]
    with of_tenant(2):
        # Never called before, it is Django's.
        found, wanted = read(kinds), read({**kinds, **fresh(kinds)})
    assert found == wanted
    assert found != learnt[-1] == learnt[0]


def fresh(kinds: Kinds) -> Kinds:
    """Return querysets whose query has been given to somebody."""
    found = {name: manager.all() for name, manager in kinds.items()}
    for each in found.values():
        str(each.query)
    return found


def test_operations_of_the_project_are_asked(kinds: Kinds) -> None:
    """Whether they stand in the backend's class or in a connection."""
    for owner in (type(connection.ops), connection.ops):
        with noted(owner, "quote_name") as called:
            for _ in range(4):
                called.clear()
                assert kinds["Shop"].filter(name="shop").count() == 2
                assert "made_shop" in [name for *_, name in called]


def test_a_queryset_class_says_itself_where_its_rows_are(kinds: Kinds) -> None:
    shops = kinds["Shop"].model.placed
    for _ in range(4):
        found = shops.filter(name="shop")
        assert found.marked == 1
        assert [each.pk for each in found.order_by("pk")] == [1, 2]
        assert found.db == "default"
    with of_tenant(2):
        assert shops.filter(name="shop").marked == 2
        assert shops.filter(name="shop").db == "elsewhere"


def test_an_aggregate_may_be_changed_after_it_was_made() -> None:
    def count(*, distinct: bool = False, of: str = "pk") -> Any:
        found = Count("pk")
        found.distinct = distinct
        found.source_expressions = [F(of)]
        return str(Author.objects.annotate(n=found).query)

    plain = count()
    for _ in range(4):
        assert count() == plain
    assert "COUNT(DISTINCT " in count(distinct=True)
    assert '"name")' in count(of="name")

    def aggregated(of: str = "pk") -> str:
        changed = Max("pk")
        changed.source_expressions = [F(of)]
        with connection.execute_wrapper(queries := Queries()):
            Author.objects.aggregate(n=changed)
        return str(queries[-1])

    for _ in range(4):
        assert '"id")' in aggregated()
    assert '"name")' in aggregated(of="name")


@pytest.mark.parametrize("what", ["update", "delete"])
def test_writes_have_their_text_anew(kinds: Kinds, what: str) -> None:
    def write() -> str:
        words = kinds["Word"].filter(plain__of_tenant__isnull=False)
        with transaction.atomic(), connection.execute_wrapper(queries := Queries()):
            words.update(plain="q") if what == "update" else words.delete()
            transaction.set_rollback(True)
        return str(queries[-1][0])

    learnt = [write() for _ in range(4)]
    with of_tenant(2):
        found = write()
    assert "'1'" in learnt[-1]
    assert "'2'" in found


FIELD_SAYS: dict[str, Callable[[Any], Any]] = {
    "get": lambda rows: rows.filter(name="n").first(),
    "select": lambda rows: [*rows.only("name")],
    "exclude": lambda rows: [*rows.exclude(other="o")],
    "count": lambda rows: rows.filter(name="n").count(),
    "create": lambda rows: rows.create(name="n"),
    "create two": lambda rows: rows.bulk_create([rows.model(name=n) for n in "ab"]),
    "update": lambda rows: rows.filter(pk=1).update(name="n"),
    "update with F": lambda rows: rows.filter(pk=1).update(plain=F("name")),
    "bulk_update": lambda rows: rows.bulk_update([rows.model(pk=1)], ["name"]),
    "save": lambda rows: rows.model(pk=1, name="n").save(force_update=True),
    "save one": lambda rows: rows.model(pk=1, name="n").save(update_fields=["name"]),
    "delete": lambda rows: rows.filter(name="n").delete(),
}


@pytest.mark.parametrize("name", FIELD_SAYS)
def test_a_field_says_each_time_how_it_is_named(make: Any, name: str) -> None:
    body = {"plain": models.CharField(max_length=20, default="p")}
    body |= {"name": Moved(max_length=20), "other": Nullable(max_length=20)}
    rows = make("Says", **body).objects

    def done() -> list[str]:
        with connection.execute_wrapper(queries := Queries()), suppress(DatabaseError):
            transaction.atomic(FIELD_SAYS[name])(rows)
        return [sql for sql, _ in queries]

    learnt = [done() for _ in range(4)]
    with of_tenant(2):
        found = done()
        with stock():
            wanted = done()
    assert found == wanted
    assert found != learnt[-1] == learnt[0]


GIVEN_A_FIELD: dict[str, Callable[..., Any]] = {
    "get_internal_type": lambda: (
        "GenericIPAddressField" if tenant.get() == 1 else "CharField"
    ),
    "select_format": lambda compiler, sql, params: (
        sql if tenant.get() == 1 else f"host({sql})",
        params,
    ),
}


@pytest.mark.parametrize("name", GIVEN_A_FIELD)
def test_a_field_that_was_given_a_method_is_asked_each_time(
    make: Any, name: str
) -> None:
    model = make("Given", key=models.GenericIPAddressField())
    setattr(model._meta.get_field("key"), name, GIVEN_A_FIELD[name])

    def done() -> str:
        with connection.execute_wrapper(queries := Queries()):
            list(model.objects.filter(key__contains="::"))
        return str(queries[0][0])

    learnt = {done() for _ in range(4)}
    with of_tenant(2):
        assert done() not in learnt


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (models.Field, "get_col"),
        (models.Field, "select_format"),
        (models.Field, "get_lookup"),
        (models.Field, "get_db_converters"),
        (BuiltinLookup, "process_lhs"),
        (BuiltinLookup, "get_rhs_op"),
        (F, "resolve_expression"),
        (Col, "get_db_converters"),
    ],
)
def test_a_replaced_method_of_djangos_is_called_each_time(
    owner: Any, name: str
) -> None:
    def read() -> None:
        found = Author.objects.filter(name__contains="n").annotate(n=Count("pk"))
        assert not found.values_list("name", flat=True)

    for _ in range(4):
        read()
    with noted(owner, name) as called:
        for _ in range(6):
            called.clear()
            read()
            assert called


def test_a_content_type_that_has_got_another_key_is_looked_up() -> None:
    book = Book.objects.create(title="b", author=Author.objects.create(name="a"))
    Note.objects.create(text="n", about=book)

    def of_note() -> Any:
        return Book.objects.filter(notes__text="n").count()

    assert [of_note() for _ in range(4)] == [1] * 4
    kind = ContentType.objects.get_for_model(Book)
    with transaction.atomic():
        ContentType.objects.filter(pk=kind.pk).update(model="before")
        ContentType.objects.create(app_label="testapp", model=kind.model)
        ContentType.objects.clear_cache()
        assert of_note() == 0
        transaction.set_rollback(True)
    ContentType.objects.clear_cache()
    assert of_note() == 1


def test_explain_plan_says_who_writes_it(kinds: Kinds) -> None:
    for _ in range(3):
        [*kinds["Sale"].filter(shop__name="shop")]
    plan = explain_plan(kinds["Sale"].filter(shop__name="shop"))
    assert "TenantKey joins on what it says each time" in str(plan)


NAMED: dict[str, Callable[[Any], Any]] = {
    "a condition": lambda rows: rows.filter(name="n").values_list("plain", flat=True),
    "selected": lambda rows: rows.values_list("name", flat=True),
    "counted": lambda rows: rows.annotate(n=Count("name")).values_list("n", flat=True),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_kept_queryset_has_the_columns_of_its_call(kinds: Kinds, name: str) -> None:
    kinds["Named"].filter(pk=2).delete()
    kinds["Named"].update(plain=None)
    make = NAMED[name]
    for _ in range(4):
        wanted = [*make(kinds["Named"])]
        kept = make(kinds["Named"])
        with of_tenant(2):
            assert [*kept.filter(pk__gt=0)] == wanted

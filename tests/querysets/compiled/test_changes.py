"""What is changed in a model after its statements are known is used in the next one."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from decimal import Decimal
from functools import partial
from typing import Any
from unittest import mock

import django
import pytest
from django.db import connection, models, transaction
from django.db.models import (
    Aggregate,
    Count,
    Expression,
    F,
    Lookup,
    OrderBy,
    QuerySet,
    Sum,
    Value,
)
from django.db.models.expressions import Col, CombinedExpression, Star
from django.db.models.functions import Length, Reverse, Upper
from django.db.models.lookups import Contains, Exact, IsNull
from django.db.models.sql.datastructures import Join
from django.test.utils import isolate_apps

from django_async_fast.querysets.compiled import inserts, tree
from django_async_fast.seams.seam_list import seams
from tests.support.describe import Queries, described

pytestmark = pytest.mark.usefixtures("_compiled")


@pytest.fixture
def _compiled() -> None:
    if QuerySet._insert is not inserts.insert:
        pytest.skip("without the compiled core Django's own statements run")


@contextmanager
def stock() -> Iterator[None]:
    """Let Django's own methods of models, querysets and fields run."""
    ours = [
        seam
        for seam in seams()
        if getattr(seam.owner, "__module__", "").startswith("django.db.models")
        and vars(seam.owner).get(seam.name) is seam.replacement
    ]
    for owner, name, replacement, _ in ours:
        before = getattr(replacement, "__wrapped__", None)
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
    try:
        yield
    finally:
        for owner, name, replacement, _ in ours:
            setattr(owner, name, replacement)


class Kinds:
    """Two models with tables, and what is done with them again and again."""

    def __init__(self, place: Any, thing: Any) -> None:
        self.place = place
        self.thing = thing

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Have rows in them, for a while."""
        with transaction.atomic():
            here = self.place.objects.create(pk=1, name="here", other="else")
            for pk in (1, 2):
                self.thing.objects.create(
                    pk=pk, name="n" * pk, other="o" * pk, size=pk, place=here
                )
            yield
            transaction.set_rollback(True)


@pytest.fixture
def kinds() -> Iterator[Kinds]:
    with isolate_apps("tests.testapp"):

        class Place(models.Model):
            name = models.CharField(max_length=20)
            other = models.CharField(max_length=20, default="")

            class Meta:
                app_label = "testapp"
                db_table = "changes_place"

        class Thing(models.Model):
            name = models.CharField(max_length=20, default="")
            other = models.CharField(max_length=20, default="")
            size = models.IntegerField(default=0)
            weight = models.DecimalField(max_digits=3, decimal_places=1, default=1)
            place = models.ForeignKey(Place, models.CASCADE, null=True)

            class Meta:
                app_label = "testapp"
                db_table = "changes_thing"

        Thing._meta.get_field("name").register_lookup(Length)
        tables = (Place, "changes_place"), (Thing, "changes_thing")
        with connection.schema_editor() as editor:
            for model, _ in tables:
                editor.create_model(model)
        with connection.cursor() as cursor:
            for _, table in tables:
                cursor.execute(f"CREATE TABLE {table}_2 (LIKE {table} INCLUDING ALL)")
        try:
            yield Kinds(Place, Thing)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("DROP TABLE changes_thing_2, changes_place_2")
            with connection.schema_editor() as editor:
                for model, _ in reversed(tables):
                    editor.delete_model(model)


def saved(instance: Any, **changes: Any) -> Any:
    for name, value in changes.items():
        setattr(instance, name, value)
    instance.save()
    return instance


Do = Callable[[Kinds], Any]
DONE: dict[str, Do] = {
    "create": lambda kinds: kinds.thing.objects.create(name="c", size=5),
    "create with a key": lambda kinds: kinds.thing.objects.create(pk=9, name="c"),
    "save": lambda kinds: saved(kinds.thing(pk=1, name="s", other="t", size=3)),
    "save fields": lambda kinds: kinds.thing(pk=1, name="s").save(
        update_fields=["name"]
    ),
    "get and save": lambda kinds: saved(kinds.thing.objects.get(pk=1), name="s"),
    "bulk_create": lambda kinds: kinds.thing.objects.bulk_create(
        [kinds.thing(name="b")]
    ),
    "update": lambda kinds: kinds.thing.objects.filter(name="n").update(other="u"),
    "update with F": lambda kinds: kinds.thing.objects.update(size=F("size") + 1),
    "delete": lambda kinds: kinds.thing(pk=1).delete(),
    "delete some": lambda kinds: kinds.thing.objects.filter(name="n").delete(),
    "get": lambda kinds: kinds.thing.objects.get(name="n"),
    "rows": lambda kinds: [*kinds.thing.objects.order_by("name")],
    "values": lambda kinds: [*kinds.thing.objects.values("name", "size")],
    "flat": lambda kinds: [*kinds.thing.objects.values_list("name", flat=True)],
    "count": lambda kinds: kinds.thing.objects.filter(name__contains="n").count(),
    "exists": lambda kinds: kinds.thing.objects.filter(name="nn").exists(),
    "transform": lambda kinds: [*kinds.thing.objects.filter(name__length=1)],
    "isnull of a transform": lambda kinds: [
        *kinds.thing.objects.filter(name__length__isnull=False)
    ],
    "a number that is not plain": lambda kinds: [
        *kinds.thing.objects.filter(weight=Decimal(1))
    ],
    "isnull": lambda kinds: [*kinds.thing.objects.filter(place__isnull=False)],
    "join": lambda kinds: [*kinds.thing.objects.filter(place__name="here")],
    "select_related": lambda kinds: [*kinds.thing.objects.select_related("place")],
    "prefetch": lambda kinds: [*kinds.place.objects.prefetch_related("thing_set")],
    "related": lambda kinds: [*kinds.place(pk=1).thing_set.all()],
    "annotate": lambda kinds: [*kinds.place.objects.annotate(n=Count("thing"))],
    "stream": lambda kinds: [*kinds.thing.objects.order_by("name").iterator()],
    "first": lambda kinds: kinds.thing.objects.first(),
    "ordered by a relation": lambda kinds: [*kinds.thing.objects.order_by("place")],
}


Change = Callable[[Kinds], AbstractContextManager[Any]]


def attribute(name: str, value: Any) -> Change:
    """Change an attribute of the field `name`."""
    return lambda kinds: mock.patch.object(
        kinds.thing._meta.get_field("name"), name, value, create=True
    )


def option(name: str, value: Any, model: str = "thing") -> Change:
    return lambda kinds: mock.patch.object(getattr(kinds, model)._meta, name, value)


def of_class(kind: Any, name: str, value: Any) -> Change:
    """Change a class of Django's for a while."""
    return lambda kinds: mock.patch.object(kind, name, value, create=True)


def key(name: str, value: Any) -> Change:
    return lambda kinds: mock.patch.object(kinds.thing._meta.pk, name, value)


@contextmanager
def in_place(ordering: list[str], *names: str) -> Iterator[None]:
    """Change a list of the models' options, which sets no attribute."""
    before = ordering[:]
    ordering[:] = names
    try:
        yield
    finally:
        ordering[:] = before


def made_twice(inherited: Any) -> Any:
    def from_db(cls: Any, db: Any, names: Any, values: Any, **options: Any) -> Any:
        made = inherited(cls, db, names, values, **options)
        made.times = getattr(made, "times", 0) + 1
        return made

    return classmethod(from_db)


def told(self: Any, *args: Any, **kwargs: Any) -> None:
    models.Model.__init__(self, *args, **kwargs)
    self.told = len(args)


def shouted(*args: Any) -> Any:
    return f"{args[0]}!"


class InUpperCase(Col):
    def as_sql(self, compiler: Any, connection: Any) -> Any:
        text, params = super().as_sql(compiler, connection)
        return f"upper({text})", params


def as_upper(self: Any, alias: Any, output_field: Any = None) -> Any:
    return InUpperCase(alias, self, output_field)


def no_rows(self: Any, compiler: Any, connection: Any) -> Any:
    return "1 = 0", []


def upper_value(value: Any, compiler: Any, connection: Any) -> Any:
    """Return the text of a value that is saved; from Django 6.1 on with the value."""
    return ("upper(%s)", [value]) if django.VERSION >= (6, 1) else "upper(%s)"


def of_connection(part: str, name: str, value: Any) -> Change:
    """Change the operations or the features of a connection for a while."""
    return lambda kinds: mock.patch.object(
        getattr(connection, part), name, value, create=True
    )


def shout_name(name: str) -> str:
    return f'"{name.strip(chr(34))}" '


def descending(self: Any, compiler: Any, connection: Any, **options: Any) -> Any:
    text, params = compiler.compile(self.expression)
    return f"{text} DESC", params


def zero(self: Any, compiler: Any, connection: Any, **options: Any) -> Any:
    return "0", []


def shouting(self: Any, compiler: Any, connection: Any, **options: Any) -> Any:
    text, params = self.as_sql(compiler, connection, **options)
    return f"({text})", params


def of_no_field(self: Any, *args: Any, **options: Any) -> Any:
    return Value(1)


def as_the_key(self: Any, query: Any, *args: Any, **options: Any) -> Any:
    return query.resolve_ref("pk", True, None, False)


def not_exact(self: Any, lookup_name: str) -> Any:
    return self.get_lookups().get("gt" if lookup_name == "exact" else lookup_name)


PLACEHOLDER = "get_placeholder_sql" if django.VERSION >= (6, 1) else "get_placeholder"
numbers = itertools.count(1000)

CHANGES: dict[str, Change] = {
    "column": attribute("column", "other"),
    "pre_save": attribute("pre_save", lambda instance, add: f"{instance.name}!"),
    "pre_save, an expression": attribute(
        "pre_save", lambda instance, add: Upper(Value(instance.name))
    ),
    "get_db_prep_save": attribute(
        "get_db_prep_save", lambda value, connection: f"{value}!"
    ),
    "get_db_prep_value": attribute(
        "get_db_prep_value", lambda value, connection, prepared=False: f"{value}!"
    ),
    "get_prep_value": attribute("get_prep_value", shouted),
    "placeholder": attribute(PLACEHOLDER, upper_value),
    "get_col": lambda kinds: attribute(
        "get_col", partial(as_upper, kinds.thing._meta.get_field("name"))
    )(kinds),
    "select_format": attribute(
        "select_format", lambda compiler, sql, params: (f"upper({sql})", params)
    ),
    "from_db_value": attribute("from_db_value", shouted),
    "get_db_converters": attribute("get_db_converters", lambda connection: [shouted]),
    "default of the key": key("default", lambda: next(numbers)),
    "get_pk_value_on_save": key("get_pk_value_on_save", lambda instance: 1234),
    "select_on_save": option("select_on_save", True),
    "db_table": option("db_table", "changes_thing_2"),
    "db_table of another": option("db_table", "changes_place_2", "place"),
    "ordering": option("ordering", ["-name"]),
    "ordering of another": option("ordering", ["-name"], "place"),
    "ordering in place": lambda kinds: in_place(kinds.thing._meta.ordering, "-name"),
    "ordering of another in place": lambda kinds: in_place(
        kinds.place._meta.ordering, "name", "-id"
    ),
    "from_db": lambda kinds: mock.patch.object(
        kinds.thing, "from_db", made_twice(models.Model.from_db.__func__)
    ),
    "__init__": lambda kinds: mock.patch.object(kinds.thing, "__init__", told),
    "descriptor": lambda kinds: mock.patch.object(
        kinds.thing,
        "name",
        property(
            lambda self: self.__dict__["name"].upper(),
            lambda self, name: self.__dict__.update(name=f"{name}!"),
        ),
    ),
    "get_col of a class": of_class(models.CharField, "get_col", as_upper),
    "select_format of a class": of_class(
        models.CharField,
        "select_format",
        lambda self, compiler, sql, params: (f"upper({sql})", params),
    ),
    "from_db_value of a class": of_class(
        models.CharField, "from_db_value", lambda self, *args: f"{args[0]}!"
    ),
    "placeholder of a class": of_class(
        models.CharField, PLACEHOLDER, lambda self, *args: upper_value(*args)
    ),
    "get_db_prep_save of a class": of_class(
        models.CharField,
        "get_db_prep_save",
        lambda self, value, connection: f"{value}!",
    ),
    "pre_save of a class": of_class(
        models.CharField,
        "pre_save",
        lambda self, instance, add: f"{getattr(instance, self.attname)}!",
    ),
    "as_sql of Exact": of_class(Exact, "as_sql", no_rows),
    "get_rhs_op of Contains": of_class(
        Contains, "get_rhs_op", lambda self, connection, rhs: f"NOT LIKE {rhs}"
    ),
    "as_sql of IsNull": of_class(IsNull, "as_sql", no_rows),
    "lookup_cast of the backend": of_class(
        type(connection.ops), "lookup_cast", lambda self, *args: "upper(%s::text)"
    ),
    "limit_offset_sql of the backend": of_class(
        type(connection.ops), "limit_offset_sql", lambda self, low, high: "LIMIT 1"
    ),
    "quote_name of one connection": of_connection("ops", "quote_name", shout_name),
    "lookup_cast of one connection": of_connection(
        "ops", "lookup_cast", lambda *args: "upper(%s::text)"
    ),
    "a feature of one connection": of_connection(
        "features", "allows_group_by_selected_pks", False
    ),
    "as_sql of OrderBy": of_class(OrderBy, "as_sql", descending),
    "as_postgresql of OrderBy": of_class(OrderBy, "as_postgresql", descending),
    "as_sql of Count": of_class(Aggregate, "as_sql", zero),
    "as_postgresql of Count": of_class(Count, "as_postgresql", zero),
    "as_postgresql of expressions": of_class(Expression, "as_postgresql", shouting),
    "resolve_expression of Count": of_class(Count, "resolve_expression", of_no_field),
    "resolve_expression of F": of_class(F, "resolve_expression", as_the_key),
    "as_sql of Star": of_class(Star, "as_sql", lambda *args: ("name", [])),
    "get_lookup of fields": of_class(models.Field, "get_lookup", not_exact),
    "get_lookup of a class": of_class(models.CharField, "get_lookup", not_exact),
    "get_lookup of decimals": of_class(models.DecimalField, "get_lookup", not_exact),
    "get_lookup of transforms": of_class(Length, "get_lookup", not_exact),
    "get_transform of fields": of_class(
        models.Field, "get_transform", lambda self, name: Reverse
    ),
    "resolve_expression of combined": of_class(
        CombinedExpression, "resolve_expression", of_no_field
    ),
    "process_rhs of lookups": of_class(
        Lookup, "process_rhs", lambda self, *args: ("upper(%s)", ["n"])
    ),
    "process_rhs of Exact": of_class(
        Exact, "process_rhs", lambda self, *args: ("%s", ["nn"])
    ),
    "get_prep_lookup of Exact": of_class(Exact, "get_prep_lookup", lambda self: "nn"),
    "get_db_prep_lookup of lookups": of_class(
        Lookup, "get_db_prep_lookup", lambda self, *args: ("%s", ["nn"])
    ),
    "as_postgresql of Exact": of_class(Exact, "as_postgresql", no_rows),
    "as_postgresql of lookups": of_class(Lookup, "as_postgresql", no_rows),
    "process_lhs of Exact": of_class(
        Exact, "process_lhs", lambda self, *args: ("'n'", [])
    ),
    "as_sql of Join": of_class(
        Join, "as_sql", lambda self, *args: (" CROSS JOIN x", [])
    ),
}


def outcome(kinds: Kinds, do: Do, change: AbstractContextManager[Any]) -> Any:
    """Return what is done while something is changed, and the rows afterwards."""
    global numbers
    numbers, queries = itertools.count(1000), Queries()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(oid::regclass, 100) FROM pg_class"
            " WHERE relkind = 'S' AND relname LIKE 'changes_%'"
        )
        with change, connection.execute_wrapper(queries):
            try:
                with transaction.atomic():
                    result = described(do(kinds))
            except Exception as error:
                result = type(error), str(error).partition("\n")[0]
        cursor.execute("SELECT * FROM changes_thing ORDER BY id")
        rows = cursor.fetchall()
        transaction.set_rollback(True)
    return result, queries, rows


@pytest.mark.parametrize("name", CHANGES)
def test_it_is_used_as_by_django(name: str, kinds: Kinds) -> None:
    change, matters = CHANGES[name], False
    for done, do in DONE.items():
        with kinds.filled():
            with stock():
                before = outcome(kinds, do, nullcontext())
                expected = outcome(kinds, do, change(kinds))
            matters |= before != expected
            for _ in range(3):
                assert outcome(kinds, do, nullcontext()) == before, done
            for _ in range(2):
                assert outcome(kinds, do, change(kinds)) == expected, done
            assert outcome(kinds, do, nullcontext()) == before, done
    assert matters


def test_one_from_db_after_the_other(kinds: Kinds) -> None:
    def times() -> set[int]:
        return {thing.times for thing in kinds.thing.objects.all()}

    first = made_twice(models.Model.from_db.__func__)
    with kinds.filled(), mock.patch.object(kinds.thing, "from_db", first):
        for _ in range(3):
            assert times() == {1}
        other = made_twice(kinds.thing.from_db.__func__)
        with mock.patch.object(kinds.thing, "from_db", other):
            for _ in range(3):
                assert times() == {2}
        for _ in range(3):
            assert times() == {1}


def test_whether_a_queryset_is_ordered_was_replaced(kinds: Kinds) -> None:
    """Then `first()` is of another order."""
    with kinds.filled():
        kinds.thing.objects.filter(pk=1).update(name="z")  # moves the row
        kept = kinds.thing.objects.filter(size__gte=0)
        with mock.patch.object(QuerySet, "ordered", True):
            for _ in range(3):
                kept.first()
        for queryset in (kept, kept.all(), kinds.thing.objects.filter(size__gte=0)):
            assert [queryset.first().pk for _ in range(3)] == [1] * 3


CHANGED_AGGREGATES: dict[str, Callable[[Any], Any]] = {
    "function": lambda aggregate: setattr(aggregate, "function", "MAX"),
    "template": lambda aggregate: setattr(aggregate, "template", "%(function)s(7)"),
    "output field": lambda aggregate: setattr(
        aggregate, "output_field", models.FloatField()
    ),
    "extra": lambda aggregate: aggregate.extra.update(template="%(function)s(8)"),
}


@pytest.mark.parametrize("change", CHANGED_AGGREGATES.values(), ids=CHANGED_AGGREGATES)
def test_an_aggregate_that_was_changed_is_another(
    kinds: Kinds, change: Callable[[Any], Any]
) -> None:
    def sums() -> list[str]:
        plain, changed = Sum("size"), Sum("size")
        change(changed)
        return [
            repr(kinds.thing.objects.aggregate(x=each)) for each in (plain, changed)
        ]

    with kinds.filled():
        with stock():
            wanted = sums()
        assert wanted[0] != wanted[1]
        for _ in range(3):
            assert sums() == wanted


def test_what_does_not_matter_forgets_nothing(kinds: Kinds) -> None:
    for _ in range(5):
        list(kinds.thing.objects.filter(name="n"))
    size = tree.cache_info().size
    field = kinds.thing._meta.get_field("name")
    field.help_text = "help"
    field.auto_now = False
    kinds.thing._meta.verbose_name = "thing"
    copy = field.clone()
    copy.column = "x"
    assert tree.cache_info().size == size > 0
    field.column = field.column
    assert tree.cache_info().size == 0


@isolate_apps("tests.testapp")
def test_a_fields_own_setattr_is_called() -> None:
    class Late:
        def __setattr__(self, name: str, value: Any) -> None:
            seen.append(name)
            super().__setattr__(name, value)

        def __delattr__(self, name: str) -> None:
            seen.append(f"-{name}")
            super().__delattr__(name)

    class Mixed(models.CharField, Late):  # type: ignore[type-arg]
        pass

    seen: list[str] = []
    field = Mixed(max_length=3)
    assert "max_length" in seen
    field.extra = 1
    del field.extra
    assert seen[-2:] == ["extra", "-extra"]
    with pytest.raises(AttributeError, match="extra"):
        del field.extra


def test_a_field_of_nobodys() -> None:
    field = models.CharField(max_length=3)
    field.model = models.Model  # has no options
    field.column = "c"
    del field.model

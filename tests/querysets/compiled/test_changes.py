"""What is changed in a model after its statements are known is used in the next one."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import django
import pytest
from django.db import connection, models, transaction
from django.db.models import Count, F, QuerySet, Sum, Value
from django.db.models.expressions import Col, CombinedExpression, Star
from django.db.models.functions import Length, Reverse, Upper
from django.db.models.lookups import Contains, Exact, IsNull
from django.db.models.sql.datastructures import Join
from django.test.utils import isolate_apps

from django_async_fast.querysets.compiled import tree
from django_async_fast.seams.seam_list import seams
from tests.support.describe import Queries, described
from tests.support.sql import execute
from tests.support.tables import table_of
from tests.support.without_seams import without

pytestmark = pytest.mark.core


def stock() -> AbstractContextManager[None]:
    """Let Django's own methods of models, querysets and fields run."""
    return without(
        seam[:3]
        for seam in seams()
        if getattr(seam.owner, "__module__", "").startswith("django.db.models")
        and vars(seam.owner).get(seam.name) is seam.replacement
        and hasattr(seam.replacement, "__wrapped__")
    )


class Kinds(NamedTuple):
    """Two models with tables."""

    thing: Any
    place: Any

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
        with table_of(Place, Thing):
            for table in ("changes_place", "changes_thing"):
                execute(f"CREATE TABLE {table}_2 (LIKE {table} INCLUDING ALL)")
            yield Kinds(Thing, Place)
            execute("DROP TABLE changes_thing_2, changes_place_2")


def saved(instance: Any, **changes: Any) -> Any:
    for name, value in changes.items():
        setattr(instance, name, value)
    instance.save()
    return instance


Do = Callable[[Any, Any], Any]
DONE: dict[str, Do] = {
    "create": lambda thing, place: thing.objects.create(name="c", size=5),
    "create with a key": lambda thing, place: thing.objects.create(pk=9, name="c"),
    "save": lambda thing, place: saved(thing(pk=1, name="s", other="t", size=3)),
    "save fields": lambda thing, place: thing(pk=1, name="s").save(
        update_fields=["name"]
    ),
    "get and save": lambda thing, place: saved(thing.objects.get(pk=1), name="s"),
    "bulk_create": lambda thing, place: thing.objects.bulk_create([thing(name="b")]),
    "update": lambda thing, place: thing.objects.filter(name="n").update(other="u"),
    "update with F": lambda thing, place: thing.objects.update(size=F("size") + 1),
    "delete": lambda thing, place: thing(pk=1).delete(),
    "delete some": lambda thing, place: thing.objects.filter(name="n").delete(),
    "get": lambda thing, place: thing.objects.get(name="n"),
    "rows": lambda thing, place: [*thing.objects.order_by("name")],
    "values": lambda thing, place: [*thing.objects.values("name", "size")],
    "flat": lambda thing, place: [*thing.objects.values_list("name", flat=True)],
    "count": lambda thing, place: thing.objects.filter(name__contains="n").count(),
    "exists": lambda thing, place: thing.objects.filter(name="nn").exists(),
    "transform": lambda thing, place: [*thing.objects.filter(name__length=1)],
    "isnull of a transform": lambda thing, place: [
        *thing.objects.filter(name__length__isnull=False)
    ],
    "a number that is not plain": lambda thing, place: [
        *thing.objects.filter(weight=Decimal(1))
    ],
    "isnull": lambda thing, place: [*thing.objects.filter(place__isnull=False)],
    "join": lambda thing, place: [*thing.objects.filter(place__name="here")],
    "select_related": lambda thing, place: [*thing.objects.select_related("place")],
    "prefetch": lambda thing, place: [*place.objects.prefetch_related("thing_set")],
    "related": lambda thing, place: [*place(pk=1).thing_set.all()],
    "annotate": lambda thing, place: [*place.objects.annotate(n=Count("thing"))],
    "stream": lambda thing, place: [*thing.objects.order_by("name").iterator()],
    "first": lambda thing, place: thing.objects.first(),
    "ordered by a relation": lambda thing, place: [*thing.objects.order_by("place")],
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


def shouted(value: Any, *args: Any, **options: Any) -> Any:
    return f"{value}!"


def shouted_by(self: Any, value: Any, *args: Any, **options: Any) -> Any:
    return f"{value}!"


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
    """Change the operations or the features of one connection."""
    return lambda kinds: mock.patch.object(
        getattr(connection, part), name, value, create=True
    )


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
    "get_db_prep_save": attribute("get_db_prep_save", shouted),
    "get_db_prep_value": attribute("get_db_prep_value", shouted),
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
    "quote_name of one connection": of_connection(
        "ops", "quote_name", lambda name: f'"{name.strip(chr(34))}" '
    ),
    "lookup_cast of one connection": of_connection(
        "ops", "lookup_cast", lambda *args: "upper(%s::text)"
    ),
    "a feature of one connection": of_connection(
        "features", "allows_group_by_selected_pks", False
    ),
}
Ops = type(connection.ops)
OF_CLASSES: dict[tuple[Any, str], Any] = {
    (models.CharField, "get_col"): as_upper,
    (models.CharField, "select_format"): (
        lambda self, compiler, sql, params: (f"upper({sql})", params)
    ),
    (models.CharField, "from_db_value"): shouted_by,
    (models.CharField, PLACEHOLDER): lambda self, *args: upper_value(*args),
    (models.CharField, "get_db_prep_save"): shouted_by,
    (models.CharField, "pre_save"): (
        lambda self, instance, add: f"{getattr(instance, self.attname)}!"
    ),
    (Exact, "as_sql"): no_rows,
    (Contains, "get_rhs_op"): lambda self, connection, rhs: f"NOT LIKE {rhs}",
    (IsNull, "as_sql"): no_rows,
    (Ops, "quote_name"): lambda self, name: f'"{name.strip(chr(34))}" ',
    (Ops, "lookup_cast"): lambda self, *args: "upper(%s::text)",
    (Ops, "limit_offset_sql"): lambda self, low, high: "LIMIT 1",
    (models.OrderBy, "as_sql"): descending,
    (models.OrderBy, "as_postgresql"): descending,
    (models.Aggregate, "as_sql"): zero,
    (Count, "as_postgresql"): zero,
    (models.Expression, "as_postgresql"): shouting,
    (Count, "resolve_expression"): of_no_field,
    (F, "resolve_expression"): as_the_key,
    (Star, "as_sql"): lambda *args: ("name", []),
    (models.Field, "get_lookup"): not_exact,
    (models.CharField, "get_lookup"): not_exact,
    (models.DecimalField, "get_lookup"): not_exact,
    (Length, "get_lookup"): not_exact,
    (models.Field, "get_transform"): lambda self, name: Reverse,
    (CombinedExpression, "resolve_expression"): of_no_field,
    (models.Lookup, "process_rhs"): lambda self, *args: ("upper(%s)", ["n"]),
    (Exact, "process_rhs"): lambda self, *args: ("%s", ["nn"]),
    (Exact, "get_prep_lookup"): lambda self: "nn",
    (models.Lookup, "get_db_prep_lookup"): lambda self, *args: ("%s", ["nn"]),
    (Exact, "as_postgresql"): no_rows,
    (models.Lookup, "as_postgresql"): no_rows,
    (Exact, "process_lhs"): lambda self, *args: ("'n'", []),
    (Join, "as_sql"): lambda self, *args: (" CROSS JOIN x", []),
}
CHANGES |= {
    f"{name} of {kind.__name__}": of_class(kind, name, value)
    for (kind, name), value in OF_CLASSES.items()
}


def outcome(kinds: Kinds, do: Do, change: AbstractContextManager[Any]) -> Any:
    """Return what is done while something is changed, and the rows afterwards."""
    global numbers
    numbers, queries = itertools.count(1000), Queries()
    with transaction.atomic():
        execute(
            "SELECT setval(oid::regclass, 100) FROM pg_class"
            " WHERE relkind = 'S' AND relname LIKE 'changes_%'"
        )
        with change, connection.execute_wrapper(queries):
            try:
                with transaction.atomic():
                    result = described(do(*kinds))
            except Exception as error:
                result = type(error), str(error).partition("\n")[0]
        rows = execute("SELECT * FROM changes_thing ORDER BY id")
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
        things = kinds.thing.objects
        return [repr(things.aggregate(x=each)) for each in (plain, changed)]

    with kinds.filled():
        with stock():
            wanted = sums()
        assert wanted[0] != wanted[1]
        for _ in range(3):
            assert sums() == wanted


def test_an_aggregate_that_made_something_else_of_itself(kinds: Kinds) -> None:
    def counts() -> list[int]:
        return [each.n for each in kinds.place.objects.annotate(n=Count("thing"))]

    with kinds.filled():
        assert counts() == [2]
        for _ in range(2):
            with mock.patch.object(Count, "resolve_expression", of_no_field):
                assert counts() == [1]
        assert counts() == [2]


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

"""The queries of everyday code, as Django's users write them, with their answers.

Imported once Django is set up. `do` runs what a query ends with: `Now` in synchronous
code, `Awaited` in a coroutine; both build the same querysets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from django.db.models import Count, F, Q

from . import dataset
from .models import City, Company, Person, Visit

Turn = int


@dataclass(frozen=True)
class Query:
    """One query, its answer's plain form, and what that must be."""

    ask: Callable[[Any, Turn], Any]
    plain: Callable[[Any], Any]
    answer: Callable[[Turn], Any]
    # Called before the clock runs, with the turns that will be asked.
    prepare: Callable[[range], None] | None = None


class Now:
    """Ends a query in synchronous code."""

    @staticmethod
    def rows(queryset: Any) -> Any:
        return list(queryset)

    @staticmethod
    def method(name: str, owner: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(owner, name)(*args, **kwargs)

    @staticmethod
    def count_up(key: int) -> Any:
        visit = Visit.objects.get(pk=key)
        visit.count += 1
        visit.save(update_fields=["count"])
        return visit


class Awaited:
    """Ends a query in a coroutine."""

    @staticmethod
    async def rows(queryset: Any) -> Any:
        return [row async for row in queryset]

    @staticmethod
    def method(name: str, owner: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(owner, f"a{name}")(*args, **kwargs)

    @staticmethod
    async def count_up(key: int) -> Any:
        visit = await Visit.objects.aget(pk=key)
        visit.count += 1
        await visit.asave(update_fields=["count"])
        return visit


def _city(turn: Turn) -> int:
    return 1 + turn % dataset.CITIES


def _company(turn: Turn) -> int:
    return 1 + turn * 7 % (dataset.COMPANIES - 50)


def _visit(turn: Turn) -> int:
    return 1 + turn * 7 % dataset.VISITS


def _city_of(company: int) -> int:
    return 1 + company % dataset.CITIES


def _companies_of(city: int) -> list[int]:
    return [i for i in range(1, dataset.COMPANIES + 1) if _city_of(i) == city]


def _after(turn: Turn, count: int) -> list[int]:
    """Return the ids of companies that come next."""
    first = _company(turn)
    return list(range(first, first + count))


def _ids(rows: Any) -> list[int]:
    return [row.pk for row in rows]


def _same(value: Any) -> Any:
    return value


def _people(turn: Turn) -> list[int]:
    # There are always as many people as this, in a quick run too.
    first = 1 + turn * 7919 % (dataset.QUICK_ROWS - 50)
    return list(range(first, first + 20))


# Set by the preparation of a turn: what each of its queries starts from.
_cities: dict[int, City] = {}
_proxies: dict[Turn, type[Person]] = {}
_firsts = permutations([*dataset.COLUMNS, *(f"-{name}" for name in dataset.COLUMNS)], 3)
_orders = list(permutations(dataset.COLUMNS, 6))
_used = 0


def _hold_cities(turns: range) -> None:
    for turn in turns:
        city = _cities[_city(turn)] = City(pk=_city(turn))
        city._state.adding, city._state.db = False, "default"


def _make_proxies(turns: range) -> None:
    """Make a class for each turn: nothing has been asked of it before."""
    global _used
    for turn in turns:
        _used += 1
        meta = type("Meta", (), {"proxy": True, "app_label": "shop"})
        attributes = {"Meta": meta, "__module__": __name__}
        _proxies[turn] = type(f"Person{_used}", (Person,), attributes)
    for made in _proxies.values():
        # What Django itself finds out about a class once is not what is measured.
        made._meta.get_field("age")
        _ = made._meta.concrete_fields, made._meta.fields_map


def _first_of_model(do: Any, turn: Turn) -> Any:
    return do.rows(
        _proxies[turn].objects.filter(pk__in=_people(turn)[:3]).order_by("pk")
    )


def _know_another(turns: range) -> None:
    """Take steps that are known: not every chain of the class is a new one."""
    for turn in turns:
        Person.objects.filter(pk=turn)


def _first_time(do: Any, turn: Turn) -> Any:
    found = Person.objects.order_by("pk", *next(_firsts))
    return do.rows(found.filter(pk__in=_people(turn)[:3]))


def _never_again(do: Any, turn: Turn) -> Any:
    global _used
    _used += 1
    names = _orders[(_used * 13) % len(_orders)]
    found = Person.objects.filter(pk__in=_people(turn)[:3]).order_by("pk", *names[:2])
    return do.rows(found.only("id", *names))


def _new_visit(do: Any, turn: Turn) -> Any:
    return do.method(
        "create",
        Visit.objects,
        company_id=_company(turn),
        title=f"Visit of {turn}",
        made=dataset.person(turn + 1)[8],
    )


def _get_or_create(do: Any, turn: Turn) -> Any:
    key = _visit(turn)
    return do.method("get_or_create", Visit.objects, pk=key, title=f"Visit {key}")


QUERIES = {
    "get": Query(
        lambda do, turn: do.method("get", Company.objects, pk=_company(turn)),
        lambda row: (row.pk, row.name),
        lambda turn: (_company(turn), f"Company {_company(turn)}"),
    ),
    "first": Query(
        lambda do, turn: do.method(
            "first", Company.objects.filter(pk__gte=_company(turn)).order_by("pk")
        ),
        lambda row: row.pk,
        _company,
    ),
    "count": Query(
        lambda do, turn: do.method(
            "count",
            Company.objects.filter(pk__gte=_company(turn), pk__lt=_company(turn) + 9),
        ),
        _same,
        lambda turn: 9,
    ),
    "exists": Query(
        lambda do, turn: do.method("exists", Company.objects.filter(pk=_company(turn))),
        _same,
        lambda turn: True,
    ),
    "page": Query(
        lambda do, turn: do.rows(
            Person.objects.select_related("company")
            .filter(pk__gte=_people(turn)[0])
            .order_by("pk")[:20]
        ),
        lambda rows: [(row.pk, row.company.pk) for row in rows],
        lambda turn: [(i, 1 + i % dataset.COMPANIES) for i in _people(turn)],
    ),
    "values": Query(
        lambda do, turn: do.rows(
            Company.objects.filter(pk__gte=_company(turn), pk__lt=_company(turn) + 5)
            .order_by("pk")
            .values("id", "name")
        ),
        _same,
        lambda turn: [{"id": i, "name": f"Company {i}"} for i in _after(turn, 5)],
    ),
    "flat": Query(
        lambda do, turn: do.rows(
            Company.objects.filter(pk__gte=_company(turn), pk__lt=_company(turn) + 5)
            .order_by("pk")
            .values_list("name", flat=True)
        ),
        _same,
        lambda turn: [f"Company {i}" for i in _after(turn, 5)],
    ),
    "pk_in": Query(
        lambda do, turn: do.rows(Company.objects.filter(pk__in=_after(turn, 5))),
        lambda rows: sorted(_ids(rows)),
        lambda turn: _after(turn, 5),
    ),
    "icontains": Query(
        lambda do, turn: do.rows(
            City.objects.filter(name__icontains=f"TY {_city(turn)}")
        ),
        lambda rows: sorted(_ids(rows)),
        lambda turn: [
            i
            for i in range(1, dataset.CITIES + 1)
            if f"City {i}".startswith(f"City {_city(turn)}")
        ],
    ),
    "join": Query(
        lambda do, turn: do.rows(
            Company.objects.filter(
                city__name=f"City {_city_of(_company(turn))}",
                pk__gte=_company(turn),
                pk__lt=_company(turn) + 5,
            )
        ),
        _ids,
        lambda turn: [_company(turn)],
    ),
    "q_or": Query(
        lambda do, turn: do.rows(
            Company.objects.filter(Q(pk=_company(turn)) | Q(pk=_company(turn) + 1))
        ),
        lambda rows: sorted(_ids(rows)),
        lambda turn: _after(turn, 2),
    ),
    "annotate": Query(
        lambda do, turn: do.rows(
            City.objects.filter(pk=_city(turn)).annotate(companies=Count("company"))
        ),
        lambda rows: [(row.pk, row.companies) for row in rows],
        lambda turn: [(_city(turn), len(_companies_of(_city(turn))))],
    ),
    "related": Query(
        lambda do, turn: do.rows(
            _cities[_city(turn)].company_set.filter(rating=5, pk__lte=300)
        ),
        lambda rows: sorted(_ids(rows)),
        lambda turn: [
            i for i in _companies_of(_city(turn)) if i % 10 == 5 and i <= 300
        ],
        _hold_cities,
    ),
    "prefetch": Query(
        lambda do, turn: do.rows(
            City.objects.filter(pk__in=[_city(turn)]).prefetch_related("company_set")
        ),
        lambda rows: [
            (row.pk, sorted(_ids(row._prefetched_objects_cache["company_set"])))
            for row in rows
        ],
        lambda turn: [(_city(turn), _companies_of(_city(turn)))],
    ),
    "update": Query(
        lambda do, turn: do.method(
            "update", Visit.objects.filter(pk=_visit(turn)), count=F("count") + 1
        ),
        _same,
        lambda turn: 1,
    ),
    "save": Query(
        lambda do, turn: do.count_up(_visit(turn)), lambda row: row.pk, _visit
    ),
    "create": Query(
        _new_visit,
        lambda row: (row.title, row.pk > dataset.VISITS),
        lambda turn: (f"Visit of {turn}", True),
    ),
    "get_or_create": Query(
        _get_or_create,
        lambda found: (found[0].pk, found[1]),
        lambda turn: (_visit(turn), False),
    ),
    "never_again": Query(_never_again, _ids, lambda turn: _people(turn)[:3]),
    "first_time": Query(
        _first_time, _ids, lambda turn: _people(turn)[:3], _know_another
    ),
    "first_of_model": Query(
        _first_of_model, _ids, lambda turn: _people(turn)[:3], _make_proxies
    ),
}

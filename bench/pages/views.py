"""The pages in Django, each as its users write it: `async def`, and plain."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path

from bench.pages import pages
from bench.shop.models import City, Company, Person, Visit


def _turn(request: HttpRequest) -> int:
    return int(request.GET["turn"])


def _people(turn: int) -> Any:
    people = Person.objects.select_related("company")
    return people.filter(pk__gte=pages.first_person(turn)).order_by("pk")[: pages.MANY]


def _as_rows(people: Any) -> JsonResponse:
    rows = [[each.pk, each.name, each.company.name] for each in people]
    return JsonResponse(rows, safe=False)


def _cities(turn: int) -> Any:
    first = 1 + turn % (pages.dataset.CITIES - 3)
    cities = City.objects.filter(pk__gte=first, pk__lt=first + 3).order_by("pk")
    return cities.prefetch_related("company_set")


def _shop(count: int, first: City, cities: Any) -> JsonResponse:
    found = [[each.name, len(each.company_set.all())] for each in cities]
    return JsonResponse({"count": count, "first": first.name, "cities": found})


def _fortunes(request: HttpRequest, rows: list[Company]) -> HttpResponse:
    rows.append(Company(id=0, name="Additional <one>"))
    rows.sort(key=lambda row: row.name)
    return render(request, "fortunes.html", {"rows": rows})


def person(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse(f"{pk}")


# ----- asynchronous


async def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


async def db(request: HttpRequest) -> HttpResponse:
    company = await Company.objects.aget(pk=pages.company(_turn(request)))
    return JsonResponse({"name": company.name})


async def queries(request: HttpRequest) -> HttpResponse:
    ids = pages.companies(_turn(request))
    names = [(await Company.objects.aget(pk=i)).name for i in ids]
    return JsonResponse(names, safe=False)


async def fortunes(request: HttpRequest) -> HttpResponse:
    rows = Company.objects.filter(pk__lte=pages.FORTUNES)
    return _fortunes(request, [row async for row in rows])


async def links(request: HttpRequest) -> HttpResponse:
    return render(request, "links.html", {"people": pages.people(_turn(request))})


async def updates(request: HttpRequest) -> HttpResponse:
    ids = pages.visits(_turn(request))
    for i in ids:
        visit = await Visit.objects.aget(pk=i)
        visit.count += 1
        await visit.asave(update_fields=["count"])
    return JsonResponse(ids, safe=False)


async def books(request: HttpRequest) -> HttpResponse:
    return _as_rows([each async for each in _people(_turn(request))])


async def shop(request: HttpRequest) -> HttpResponse:
    count = await City.objects.acount()
    first = await City.objects.order_by("pk").afirst()
    return _shop(count, first, [each async for each in _cities(_turn(request))])


async def site(request: HttpRequest) -> HttpResponse:
    user = await request.auser()  # type: ignore[attr-defined]
    people = [each async for each in _people(_turn(request))]
    return render(request, "site.html", {"people": people, "user": user})


# ----- synchronous


def sync_plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def sync_db(request: HttpRequest) -> HttpResponse:
    company = Company.objects.get(pk=pages.company(_turn(request)))
    return JsonResponse({"name": company.name})


def sync_queries(request: HttpRequest) -> HttpResponse:
    ids = pages.companies(_turn(request))
    names = [Company.objects.get(pk=i).name for i in ids]
    return JsonResponse(names, safe=False)


def sync_fortunes(request: HttpRequest) -> HttpResponse:
    return _fortunes(request, list(Company.objects.filter(pk__lte=pages.FORTUNES)))


def sync_links(request: HttpRequest) -> HttpResponse:
    return render(request, "links.html", {"people": pages.people(_turn(request))})


def sync_updates(request: HttpRequest) -> HttpResponse:
    ids = pages.visits(_turn(request))
    for i in ids:
        visit = Visit.objects.get(pk=i)
        visit.count += 1
        visit.save(update_fields=["count"])
    return JsonResponse(ids, safe=False)


def sync_books(request: HttpRequest) -> HttpResponse:
    return _as_rows(_people(_turn(request)))


def sync_shop(request: HttpRequest) -> HttpResponse:
    count = City.objects.count()
    first = City.objects.order_by("pk").first()
    return _shop(count, first, _cities(_turn(request)))


def sync_site(request: HttpRequest) -> HttpResponse:
    people = _people(_turn(request))
    return render(request, "site.html", {"people": people, "user": request.user})  # type: ignore[attr-defined]


NAMES = (
    *("plain", "db", "queries", "fortunes", "links", "updates", "books", "shop"),
    "site",
)
urlpatterns = [path(f"{name}/", globals()[name]) for name in NAMES]
urlpatterns += [path(f"sync/{name}/", globals()[f"sync_{name}"]) for name in NAMES]
urlpatterns.append(path("person/<int:pk>/", person, name="person"))

try:
    from rest_framework import generics, pagination, serializers
    from rest_framework.response import Response
except ImportError:
    pass  # whoever asks for this page is told
else:

    class PersonSerializer(serializers.ModelSerializer):
        company = serializers.CharField(source="company.name")

        class Meta:
            model = Person
            fields = ("id", "name", "email", "age", "company", "balance", "created")

    class Pagination(pagination.LimitOffsetPagination):
        default_limit = pages.MANY

        def get_count(self, queryset: Any) -> int:
            # Of a smaller table: to count 200,000 rows is not what is compared.
            return int(Company.objects.count())

        def get_paginated_response(self, data: Any) -> Any:
            return Response({"count": self.count, "results": data})

    class People(generics.ListAPIView):  # type: ignore[misc]
        serializer_class = PersonSerializer
        pagination_class = Pagination

        def get_queryset(self) -> Any:
            first = pages.first_person(int(self.request.GET["turn"]))
            people = Person.objects.select_related("company").order_by("pk")
            return people.filter(pk__gte=first)

    urlpatterns.append(path("api/", People.as_view()))

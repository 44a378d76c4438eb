"""What each page is asked for, and what must come back. Imports no framework."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.shop import dataset

MANY = 20
FORTUNES = 12
USER, SESSION = "ann", "a" * 32


def company(turn: int) -> int:
    return 1 + turn * 7 % (dataset.COMPANIES - 50)


def companies(turn: int) -> list[int]:
    """Return the ids of the companies, one query each, of `queries`."""
    return [1 + (company(turn) + i * 37) % dataset.COMPANIES for i in range(MANY)]


def visits(turn: int) -> list[int]:
    return [1 + (turn * 7 + i * 31) % dataset.VISITS for i in range(MANY)]


def first_person(turn: int) -> int:
    # There are always as many people as this, in a quick run too.
    return 1 + turn * 7919 % (dataset.QUICK_ROWS - 50)


def city(turn: int) -> int:
    return 1 + turn % dataset.CITIES


@dataclass(frozen=True)
class Page:
    """The path of a page, the one for synchronous servers, and its right answer."""

    path: str
    sync_path: str
    # Whether the default middleware of a project is around it.
    site: bool
    check: Callable[[int, bytes], bool]


def _json(wanted: Callable[[int], Any]) -> Callable[[int, bytes], bool]:
    return lambda turn, body: bool(json.loads(body) == wanted(turn))


def people(turn: int) -> list[int]:
    return list(range(first_person(turn), first_person(turn) + MANY))


def _person(i: int) -> list[Any]:
    return [i, dataset.person(i)[1], f"Company {1 + i % dataset.COMPANIES}"]


def _shop(turn: int) -> Any:
    first = 1 + turn % (dataset.CITIES - 3)
    cities = range(first, first + 3)
    every = range(1, dataset.COMPANIES + 1)
    return {
        "count": dataset.CITIES,
        "first": "City 1",
        "cities": [
            [f"City {c}", len([i for i in every if 1 + i % dataset.CITIES == c])]
            for c in cities
        ],
    }


def _fortunes(turn: int, body: bytes) -> bool:
    return body.count(b"<tr>") == FORTUNES + 2 and b"Additional &lt;one&gt;" in body


def _links(turn: int, body: bytes) -> bool:
    paths = [f'<a href="/person/{i}/">'.encode() for i in people(turn)]
    return body.count(b"<a ") == MANY and all(path in body for path in paths)


def _site(turn: int, body: bytes) -> bool:
    names = [dataset.person(i)[1].title().encode() for i in people(turn)]
    return f"Hello {USER}".encode() in body and all(name in body for name in names)


def _api(turn: int, body: bytes) -> bool:
    found = json.loads(body)
    ids = [row["id"] for row in found["results"]]
    return ids == people(turn) and found["count"] == dataset.COMPANIES


def _page(name: str, check: Callable[[int, bytes], bool]) -> Page:
    return Page(f"/{name}/", f"/sync/{name}/", False, check)


PAGES = {
    "plain": _page("plain", lambda turn, body: body == b"hello"),
    "db": _page("db", _json(lambda t: {"name": f"Company {company(t)}"})),
    "queries": _page(
        "queries", _json(lambda t: [f"Company {i}" for i in companies(t)])
    ),
    "fortunes": _page("fortunes", _fortunes),
    "links": _page("links", _links),
    "updates": _page("updates", _json(visits)),
    "books": _page("books", _json(lambda t: [_person(i) for i in people(t)])),
    "shop": _page("shop", _json(_shop)),
    "site": Page("/site/", "/sync/site/", True, _site),
    "site_sync": Page("/sync/site/", "/sync/site/", True, _site),
    "api": Page("/api/", "/api/", True, _api),
}

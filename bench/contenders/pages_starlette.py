"""Pages: Starlette, SQLAlchemy over asyncpg, Jinja2."""

from collections.abc import Callable
from functools import partial
from typing import Any

from bench.contenders import Contender, sqlalchemy
from bench.contenders.pages_asgi import page
from bench.pages import pages

TEMPLATE = """<!doctype html><html><head><title>Fortunes</title></head><body><table>
<tr><th>id</th><th>message</th></tr>
{% for row in rows %}<tr><td>{{ row[0] }}</td><td>{{ row[1] }}</td></tr>
{% endfor %}</table></body></html>
"""

LINKS = """<!doctype html><html><head><title>Links</title></head><body><ul>
{% for pk in people %}<li><a href="{{ url('person', pk=pk) }}">{{ pk }}</a></li>
{% endfor %}</ul></body></html>
"""


class This(Contender):
    title = "Starlette + SQLAlchemy"
    packages = ("starlette", "SQLAlchemy", "greenlet", "asyncpg", "Jinja2")
    process = "pages_starlette"

    async def open(self) -> None:
        self.database = sqlalchemy.This(self.dsn, self.pool_size)
        await self.database.open()
        self.applications = {False: site(partial(_views, self.database))}


for _name, _page in pages.PAGES.items():
    if not _page.site:
        setattr(This, f"page_{_name}", page(_name))


def turn_of(request: Any) -> int:
    return int(request.query_params["turn"])


def site(make_views: Callable[[Callable[..., Any]], tuple[Any, ...]]) -> Any:
    """Return an application; views get a function that makes the fortunes' page."""
    from jinja2 import Environment
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse, PlainTextResponse
    from starlette.routing import Route

    environment = Environment(autoescape=True)
    template = environment.from_string(TEMPLATE)
    links_template = environment.from_string(LINKS)

    async def plain(request: Any) -> Any:
        return PlainTextResponse("hello")

    async def person(request: Any) -> Any:
        return PlainTextResponse(f"{request.path_params['pk']}")

    async def links(request: Any) -> Any:
        people, url = pages.people(turn_of(request)), request.app.url_path_for
        return HTMLResponse(links_template.render(people=people, url=url))

    def fortunes_page(found: list[tuple[int, str]]) -> Any:
        rows = sorted([*found, (0, "Additional <one>")], key=lambda row: row[1])
        return HTMLResponse(template.render(rows=rows))

    views = (plain, links, *make_views(fortunes_page))
    routes = [Route(f"/{view.__name__}/", view) for view in views]
    return Starlette(
        routes=[*routes, Route("/person/{pk:int}/", person, name="person")]
    )


def _views(database: Any, fortunes_page: Callable[..., Any]) -> tuple[Any, ...]:
    from sqlalchemy import func, select
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import joinedload, selectinload
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    from bench.contenders.sqlalchemy_models import City, Company, Person, Visit

    # As Django has it: no BEGIN and ROLLBACK around what only reads.
    reading = database.autocommit

    async def db(request: Request) -> Any:
        async with reading() as session:
            company = await session.get_one(Company, pages.company(turn_of(request)))
        return JSONResponse({"name": company.name})

    async def queries(request: Request) -> Any:
        async with reading() as session:
            ids = pages.companies(turn_of(request))
            names = [(await session.get_one(Company, i)).name for i in ids]
        return JSONResponse(names)

    async def fortunes(request: Request) -> Any:
        async with reading() as session:
            query = select(Company).where(Company.id <= pages.FORTUNES)
            found = (await session.scalars(query)).all()
        return fortunes_page([(row.id, row.name) for row in found])

    async def updates(request: Request) -> Any:
        ids = pages.visits(turn_of(request))
        async with AsyncSession(database.engine) as session:
            for i in ids:
                visit = await session.get_one(Visit, i)
                visit.count += 1
                await session.commit()  # as Django's save() does
        return JSONResponse(ids)

    async def books(request: Request) -> Any:
        query = select(Person).options(joinedload(Person.company, innerjoin=True))
        query = query.where(Person.id >= pages.first_person(turn_of(request)))
        async with reading() as session:
            found = await session.scalars(query.order_by(Person.id).limit(pages.MANY))
            rows = [[each.id, each.name, each.company.name] for each in found]
        return JSONResponse(rows)

    async def shop(request: Request) -> Any:
        first = 1 + turn_of(request) % (pages.dataset.CITIES - 3)
        query = select(City).where(City.id >= first, City.id < first + 3)
        query = query.order_by(City.id).options(selectinload(City.companies))
        async with reading() as session:
            count = await session.scalar(select(func.count()).select_from(City))
            one = await session.scalar(select(City).order_by(City.id).limit(1))
            cities = (await session.scalars(query)).all()
            found = [[each.name, len(each.companies)] for each in cities]
            name = one.name if one else None
        return JSONResponse({"count": count, "first": name, "cities": found})

    return db, queries, fortunes, updates, books, shop

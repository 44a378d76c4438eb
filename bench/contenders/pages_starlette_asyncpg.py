"""Pages: Starlette, asyncpg without an ORM, Jinja2."""

from collections.abc import Callable
from functools import partial
from typing import Any

from bench.contenders import Contender, asyncpg
from bench.contenders.pages_asgi import page
from bench.contenders.pages_starlette import site, turn_of
from bench.pages import pages

COMPANY = "SELECT id, name, rating, city_id FROM bench_company WHERE id = $1"
FIRST_COMPANIES = "SELECT id, name, rating, city_id FROM bench_company WHERE id <= $1"
VISIT = "SELECT id, company_id, title, count, made FROM bench_visit WHERE id = $1"
UPDATE = "UPDATE bench_visit SET count = $1 WHERE id = $2"


class This(Contender):
    title = "Starlette + asyncpg"
    packages = ("starlette", "asyncpg", "Jinja2")
    process = "pages_starlette"

    async def open(self) -> None:
        self.database = asyncpg.This(self.dsn, self.pool_size)
        await self.database.open()
        self.applications = {False: site(partial(_views, self.database.pool))}


for _name in ("plain", "db", "queries", "fortunes", "links", "updates"):
    setattr(This, f"page_{_name}", page(_name))


def _views(pool: Any, fortunes_page: Callable[..., Any]) -> tuple[Any, ...]:
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    async def db(request: Request) -> Any:
        async with pool.acquire() as connection:
            row = await connection.fetchrow(COMPANY, pages.company(turn_of(request)))
        return JSONResponse({"name": row["name"]})

    async def queries(request: Request) -> Any:
        ids = pages.companies(turn_of(request))
        async with pool.acquire() as connection:
            names = [(await connection.fetchrow(COMPANY, i))["name"] for i in ids]
        return JSONResponse(names)

    async def fortunes(request: Request) -> Any:
        async with pool.acquire() as connection:
            found = await connection.fetch(FIRST_COMPANIES, pages.FORTUNES)
        return fortunes_page([(row["id"], row["name"]) for row in found])

    async def updates(request: Request) -> Any:
        ids = pages.visits(turn_of(request))
        async with pool.acquire() as connection:
            for i in ids:
                row = await connection.fetchrow(VISIT, i)
                await connection.execute(UPDATE, row["count"] + 1, i)
        return JSONResponse(ids)

    return db, queries, fortunes, updates

"""django-silk: a row for each query of a request."""

from typing import Any

from tests.beside.tool import Tool
from tests.beside.ways import Way


class Silk(Tool):
    """Its middleware replaces SQLCompiler.execute_sql at the first request."""

    package = "silk"
    in_a_request = True
    apps = ["django.contrib.sessions", "silk"]
    middleware = ["silk.middleware.SilkyMiddleware"]
    urls = [("silk/", "silk.urls")]

    def seen(self) -> Any:
        from silk.models import Request

        return [
            [request.num_sql_queries, *self._queries(request)]
            for request in Request.objects.all()
        ]

    def _queries(self, request: Any) -> Any:
        return request.queries.order_by("pk").values_list("query", flat=True)


async def reading(do: Any) -> None:
    from tests.testapp.models import Author, Book

    for _ in range(3):
        await do(Book.objects.order_by("pk"), "iterate")
        await do(Author.objects, "get", name="Ada")


class SilkAtOnce(Silk):
    """Requests at once, each with its own queries and no other's."""

    program = staticmethod(reading)

    def run(self, way: Way) -> Any:
        from tests.beside.served import HOST, requests

        requests(way, self.program, [HOST] * 20, at_once=5)
        return "seen"

"""django-silk: a row for each query of a request."""

from __future__ import annotations

from typing import Any

from tests.beside.tool import Tool


class Silk(Tool):
    """Its middleware replaces SQLCompiler.execute_sql at the first request."""

    package = "silk"
    in_a_request = True
    blind = "it keeps the request in threading.local, in its middleware's thread"
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

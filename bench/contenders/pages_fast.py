"""Pages: this package's application, one line in asgi.py."""

from typing import Any

from bench.contenders import pages_asgi


class This(pages_asgi.This):
    title = "django-async-fast"
    process = "pages_fast"
    must_not_import = ()
    apps = ("django_async_fast",)

    def make_application(self) -> Any:
        from django_async_fast.asgi import get_asgi_application

        return get_asgi_application()

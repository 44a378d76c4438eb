"""Pages: Django's WSGI application with this package in INSTALLED_APPS."""

from bench.contenders import pages_wsgi


class This(pages_wsgi.This):
    title = "WSGI, installed"
    process = "pages_fast"
    must_not_import = ()
    apps = ("django_async_fast",)

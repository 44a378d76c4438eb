"""For MIDDLEWARE: `django_async_fast.middleware.ConnectionMiddleware`."""

from .requests.middleware import ConnectionMiddleware

__all__ = ["ConnectionMiddleware"]

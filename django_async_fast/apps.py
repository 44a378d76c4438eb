"""The app: adding it to INSTALLED_APPS installs the package."""

from django.apps import AppConfig


class DjangoAsyncFastConfig(AppConfig):
    """Installs every seam once all models are loaded."""

    name = "django_async_fast"
    verbose_name = "Django async fast"

    def ready(self) -> None:
        from . import checks  # noqa: F401 - registers the system checks
        from .seams import install

        install()

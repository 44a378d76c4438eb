"""The app: adding it to INSTALLED_APPS installs the package."""

from typing import Any

from django.apps import AppConfig
from django.db import connections


class DjangoAsyncFastConfig(AppConfig):
    """Installs every seam when it is made: before models, and before any `ready()`.

    Tools hook in there. What they find is what they call, and what they put back.
    """

    name = "django_async_fast"
    verbose_name = "Django async fast"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        from .seams.installation import install

        install()

    def ready(self) -> None:
        from . import checks  # noqa: F401 - registers the system checks
        from .seams.installation import install_blocking

        install_blocking()
        settings = connections.settings
        if any(settings[alias]["OPTIONS"].get("pool") for alias in settings):
            from .pool.figures import observe

            observe()

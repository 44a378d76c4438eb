"""django-debug-toolbar: the SQL panel's queries of a request."""

from typing import Any

from tests.beside.tool import Tool

TEMPLATES = "django.template.backends.django.DjangoTemplates"


class Toolbar(Tool):
    """Its middleware replaces the cursor methods of the request's connections."""

    package = "debug_toolbar"
    in_a_request = True
    apps = ["django.contrib.staticfiles", "debug_toolbar"]
    middleware = ["debug_toolbar.middleware.DebugToolbarMiddleware"]
    urls = [("__debug__/", "debug_toolbar.urls")]
    settings = {
        "DEBUG": True,
        "INTERNAL_IPS": ["127.0.0.1"],
        "STATIC_URL": "static/",
        "TEMPLATES": [{"BACKEND": TEMPLATES, "APP_DIRS": True}],
        "DEBUG_TOOLBAR_CONFIG": {"IS_RUNNING_TESTS": False},
    }

    def seen(self) -> Any:
        from debug_toolbar.store import get_store

        store = get_store()
        return [
            [query["sql"], query["params"], query.get("is_slow")]
            for request_id in store.request_ids()
            for query in store.panel(request_id, "SQLPanel")["queries"]
        ]

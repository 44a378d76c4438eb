"""One tool, one moment, one way: print as JSON what the tool saw.

    python -m tests.beside.child silk:Silk prepare
    python -m tests.beside.child silk:Silk "before setup" "run_sync"

The last line of standard output is the answer. DATABASE_URL names the database.
"""

import json
import os
import sys
from importlib import import_module
from typing import Any

from tests.beside import urls
from tests.beside.tool import AFTER, BEFORE, LATE, Tool
from tests.beside.ways import WAYS, run
from tests.support.describe import NUMBERED
from tools.postgres import django_database

OURS = "django_async_fast"


def tool(name: str) -> Tool:
    """Return a tool by the name of its module and class: "silk:Silk"."""
    module, _, cls = name.partition(":")
    return getattr(import_module(f"tests.beside.tools.{module}"), cls)()


def configure(tool: Tool, installed: bool, in_a_block: bool) -> None:
    from django.conf import settings

    apps = ["django.contrib.contenttypes", "django.contrib.auth", "tests.testapp"]
    apps += tool.apps
    middleware = [*tool.middleware]
    if installed:
        apps.insert(0 if tool.ours_first else len(apps), OURS)
        if in_a_block:
            middleware.insert(0, f"{OURS}.middleware.ConnectionMiddleware")
    default = django_database(
        os.environ["DATABASE_URL"], ENGINE=tool.engine, OPTIONS=tool.options
    )
    given = {
        "DATABASES": {"default": default},
        "INSTALLED_APPS": apps,
        "MIDDLEWARE": middleware,
        "MIGRATION_MODULES": dict.fromkeys(("contenttypes", "auth", "testapp")),
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "ROOT_URLCONF": urls.__name__,
        "SECRET_KEY": "tests",
        "ALLOWED_HOSTS": ["*"],
        "USE_TZ": True,
    }
    settings.configure(**given | tool.settings)


def prepare(tool: Tool) -> None:
    import django

    configure(tool, installed=False, in_a_block=False)
    django.setup()
    tool.prepare()


def watch(tool: Tool, moment: str, way_name: str) -> dict[str, Any]:
    """Return what the tool saw, and what the steps of the program returned."""
    import django

    way = WAYS[way_name]
    configure(tool, way.installed, way.asynchronous and not way.application)
    if moment == BEFORE:
        tool.hook()
    django.setup()
    from django.urls import include, path

    urls.urlpatterns[:0] = [path(at, include(module)) for at, module in tool.urls]
    if moment == LATE:
        run(way, tool.program)
    if moment in (AFTER, LATE):
        tool.hook()
    with tool.watching():
        results = tool.run(way)
    return {"seen": tool.seen(), "results": results}


def main(name: str, moment: str, way: str = "") -> None:
    if moment == "prepare":
        prepare(tool(name))
        return
    answer = json.dumps(watch(tool(name), moment, way))
    sys.stdout.write("\n" + NUMBERED.sub("#", answer) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Run django-cachalot's own tests, and print as JSON how they went.

    python -m tests.beside.cachalots_tests stock|first|last

DATABASE_URL names the server, which must have contrib's extensions.
"""

import json
import os
import sys
from typing import Any

from tools.postgres import django_database

# Of its others, some look at time or at another database.
LABELS = [
    f"cachalot.tests.{name}" for name in ("read", "write", "transaction", "signals")
]
OURS = "django_async_fast"


def configure(place: str) -> None:
    from django.conf import settings

    apps = [
        *("cachalot", "django.contrib.auth", "django.contrib.contenttypes"),
        *("django.contrib.postgres", "django.contrib.sessions"),
    ]
    if place != "stock":
        apps.insert(0 if place == "first" else len(apps), OURS)
    test = {"NAME": f"{OURS}_cachalot_{place}"}
    default = django_database(os.environ["DATABASE_URL"], "postgres", TEST=test)
    settings.configure(
        DATABASES={"default": default},
        INSTALLED_APPS=apps,
        MIGRATION_MODULES={"cachalot": "cachalot.tests.migrations"},
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                "OPTIONS": {"MAX_ENTRIES": 10**9},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        SECRET_KEY="tests",
        USE_TZ=False,
        TIME_ZONE="UTC",
    )


def main(place: str) -> None:
    import django
    from django.test.runner import DiscoverRunner

    class Runner(DiscoverRunner):
        def suite_result(self, suite: Any, result: Any, **kwargs: Any) -> Any:
            failed = [test.id() for test, _ in [*result.failures, *result.errors]]
            return {"ran": result.testsRun, "failed": sorted(failed)}

    configure(place)
    django.setup()
    result = Runner(verbosity=0, interactive=False).run_tests(LABELS)
    sys.stdout.write("\n" + json.dumps(result) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

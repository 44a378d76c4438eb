"""Settings of the test project. DATABASE_URL is set by conftest.py if it was not."""

import os
from typing import Any

from tools.postgres import django_database

DSN = os.environ["DATABASE_URL"]


def _database(name: str, **extra: Any) -> dict[str, Any]:
    # The test database has the same name, so a child process with these settings
    # finds it without being told.
    test = {"NAME": name, **extra.pop("TEST", {})}
    return django_database(DSN, name, TEST=test, **extra)


DATABASES = {
    "default": _database("django_async_fast_test"),
    "other": _database("django_async_fast_test_other"),
    "pooled": _database(
        "django_async_fast_test",
        OPTIONS={"pool": {"min_size": 0, "max_size": 4, "timeout": 5}},
        TEST={"MIRROR": "default"},
    ),
}

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django_async_fast",
    "tests.testapp",
]

# Tables come straight from the models; nothing here tests migrations.
MIGRATION_MODULES = dict.fromkeys(("contenttypes", "auth", "sessions", "testapp"))

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "tests.urls"
SECRET_KEY = "tests"
USE_TZ = True
TIME_ZONE = "UTC"

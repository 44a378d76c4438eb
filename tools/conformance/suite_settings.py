"""Settings for Django's suite: its own example, on PostgreSQL, MariaDB or SQLite.

Where several classes run at once SQLite's databases are files, else in memory.
"""

import os

import django

from tools.postgres import django_database

_url = os.environ["DATABASE_URL"]
_shard = os.environ.get("CONFORMANCE_SHARD", "0")


def _database(name):
    if _url.startswith("sqlite:"):
        return _file(name)
    if _url.startswith("mysql:"):
        return _on_socket(name)
    test = {"NAME": f"conformance_{name}_{_shard}"}
    return django_database(_url, "postgres", TEST=test)


def _on_socket(name):
    return {
        "ENGINE": "django.db.backends.mysql",
        "USER": "root",
        "HOST": _url.removeprefix("mysql://"),
        "TEST": {"NAME": f"conformance_{name}_{_shard}", "CHARSET": "utf8mb4"},
    }


def _file(name):
    in_memory = "CONFORMANCE_FILES" not in os.environ
    folder = _url.removeprefix("sqlite://")
    path = None if in_memory else f"{folder}/{name}_{_shard}.sqlite3"
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "OPTIONS": {"init_command": "PRAGMA synchronous=OFF"},
        "TEST": {"NAME": path},
    }


DATABASES = {"default": _database("default"), "other": _database("other")}
SECRET_KEY = "django_tests_secret_key"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
USE_TZ = False
if django.VERSION < (6, 0):
    # The suite's expectations; later it is without a warning.
    DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
TEST_RUNNER = "tools.conformance.recording.RecordingRunner"

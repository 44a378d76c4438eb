"""Settings for Django's suite: its own example, on PostgreSQL."""

import os

import django
from psycopg.conninfo import conninfo_to_dict

_server = conninfo_to_dict(os.environ["DATABASE_URL"])
_shard = os.environ.get("CONFORMANCE_SHARD", "0")


def _database(name):
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": _server.get("user", ""),
        "PASSWORD": _server.get("password", ""),
        "HOST": _server.get("host", ""),
        "PORT": str(_server.get("port", "")),
        "TEST": {"NAME": f"conformance_{name}_{_shard}"},
    }


DATABASES = {"default": _database("default"), "other": _database("other")}
SECRET_KEY = "django_tests_secret_key"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
USE_TZ = False
if django.VERSION < (6, 0):
    # The suite's expectations; later it is without a warning.
    DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
TEST_RUNNER = "tools.conformance.recording.RecordingRunner"

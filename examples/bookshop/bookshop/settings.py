"""DATABASE_URL says where the database is; BOOKSHOP_STOCK=1 leaves the package out."""

import os
import sys
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
sys.path.append(str(BASE_DIR.parent.parent))  # for tools/, of this repository

from tools.postgres import django_database  # noqa: E402

DATABASES = {"default": django_database(os.environ["DATABASE_URL"])}

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "catalogue",
]
if os.environ.get("BOOKSHOP_STOCK") != "1":
    INSTALLED_APPS.append("django_async_fast")

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]

ALLOWED_HOSTS = ["*"]
ASGI_APPLICATION = "bookshop.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "bookshop.urls"
SECRET_KEY = os.environ.get("SECRET_KEY", "only an example")
USE_TZ = True

"""The demo's books, at DATABASE_URL; BOOKSHOP_STOCK=1 leaves the package out."""

import os
import sys
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
sys.path.append(str(BASE_DIR.parent.parent))  # for tools/, of this repository

from tools.postgres import django_database  # noqa: E402

DATABASES = {"default": django_database(os.environ["DATABASE_URL"])}

INSTALLED_APPS = ["catalogue"]
if os.environ.get("BOOKSHOP_STOCK") != "1":
    INSTALLED_APPS.append("django_async_fast")

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = os.environ.get("SECRET_KEY", "only an example")
USE_TZ = True

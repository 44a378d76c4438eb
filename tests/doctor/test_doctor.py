"""`doctor`: each fault of a project is found, with its remedy, and ends in the code."""

from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support import pgbouncer
from tests.support.fresh_python import ended
from tools.postgres import django_database

ROOT = Path(__file__).parents[2]

SETTINGS = """
DATABASES = {{"default": {database!r}}}
SECRET_KEY = "doctor"
USE_TZ = True
ROOT_URLCONF = "site_urls"
INSTALLED_APPS = ["django_async_fast", "django.contrib.contenttypes"]
"""
URLS = "urlpatterns = []\n"

Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def doctor(tmp_path: Path, dsn: str) -> Doctor:
    """Return a function that examines a project with `lines` in its settings.

    `files` are more modules of its own.
    """

    def examined(lines: str = "", dsn: str = dsn, **files: str) -> tuple[int, str]:
        name = conninfo_to_dict(dsn)["dbname"]
        settings = SETTINGS.format(database=django_database(dsn, name)) + lines
        modules = {"site_settings": settings, "site_urls": URLS, **files}
        for module, text in modules.items():
            (tmp_path / f"{module}.py").write_text(text)
        command = "-m", "django_async_fast", "doctor", "--settings", "site_settings"
        done = ended(*command, cwd=tmp_path, PYTHONPATH=str(ROOT))
        assert done.stderr == ""
        return done.returncode, done.stdout

    return examined


def test_a_sound_project(doctor: Doctor) -> None:
    code, report = doctor(
        "ASGI_APPLICATION = 'site_asgi.application'\n"
        "DATABASES['default']['OPTIONS'] = {'pool': True}\n"
        "DJANGO_ASYNC_FAST = {'STALL_WATCH': 0.25}\n",
        site_asgi="from django_async_fast.asgi import get_asgi_application\n"
        "application = get_asgi_application()\n",
    )
    assert code == 0, report
    assert "0 problems, 0 notes" in report
    assert "compiled parts in use" in report
    assert "default: PostgreSQL, waited for on the loop" in report
    assert "a pool of 4 to 4 connections" in report
    assert "synchronous views on the loop" in report
    assert "instances filled directly by the core" in report


FAULTS = {
    "the app": (
        "INSTALLED_APPS.remove('django_async_fast')",
        "'django_async_fast' is not in INSTALLED_APPS",
        'INSTALLED_APPS = [..., "django_async_fast"]',
    ),
    "a setting's name": (
        "DJANGO_ASYNC_FAST = {'STAL_WATCH': 1}",
        "DJANGO_ASYNC_FAST has what is no setting: STAL_WATCH",
        "the settings are BLOCKING, BRIDGED",
    ),
    "a setting's value": (
        "DJANGO_ASYNC_FAST = {'LAZY': 'never'}",
        "LAZY is 'never'",
        'LAZY is "await" or "refuse"',
    ),
    "an alias": (
        "DJANGO_ASYNC_FAST = {'THREADED': ['archive']}",
        "THREADED names aliases that DATABASES has not: archive",
        "DATABASES has default",
    ),
    "no server": (
        "DATABASES['default'] |= {'HOST': '127.0.0.1', 'PORT': 1}",
        "default: no answer in a block: OperationalError",
        "see DATABASES, and whether the server is up",
    ),
    "too many connections": (
        "DATABASES['default']['OPTIONS'] = {'pool': {'max_size': 5000}}",
        "default: max_size is 5000, and the server allows",
        "a smaller max_size",
    ),
    "the application": (
        "ASGI_APPLICATION = 'nowhere.application'",
        "nowhere.application cannot be imported",
        "see its traceback",
    ),
    "the URLs": (
        "ROOT_URLCONF = 'nowhere'",
        "ROOT_URLCONF cannot be imported",
        "see its traceback",
    ),
    "a middleware": (
        "MIDDLEWARE = ['nowhere.Middleware']",
        "nowhere.Middleware cannot be imported",
        "see MIDDLEWARE",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_problem_is_named_with_its_remedy(doctor: Doctor, fault: str) -> None:
    line, found, remedy = FAULTS[fault]
    code, report = doctor(line)
    assert code == 1, report
    assert f"PROBLEM  {found}" in report
    assert f"-> {remedy}" in report.partition(found)[2]


def test_a_project_that_cannot_be_set_up(doctor: Doctor) -> None:
    code, report = doctor("INSTALLED_APPS.append('nowhere')")
    assert code == 1
    assert "Django" in report
    _, _, why = report.partition("The project cannot be set up:\n")
    assert "ModuleNotFoundError: No module named 'nowhere'" in why


PROJECT = {
    "site_models": """
import threading

from django.db import models

local = threading.local()
lock = threading.RLock()

class Counter:
    lock = threading.Lock()
""",
    "site_views": """
from django.http import HttpResponse

import site_models

def one(request): return HttpResponse()
async def two(request): return HttpResponse()
async def three(request): return HttpResponse()
""",
    "site_urls": """
from django.urls import include, path

import site_views

urlpatterns = [
    path("one", site_views.one),
    path("more/", include([path("2", site_views.two), path("3", site_views.three)])),
]
""",
}


def test_what_of_a_project_is_native_and_what_is_not(doctor: Doctor) -> None:
    code, report = doctor(
        "ASGI_APPLICATION = 'site_asgi.application'\n"
        "MIDDLEWARE = ['django.middleware.common.CommonMiddleware', 'site_slow.Slow']\n"
        "DATABASES['lite'] = {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}\n"
        "DATABASES['slow'] = DATABASES['lite']\n"
        "DATABASES['default']['OPTIONS'] = {'options': '-c statement_timeout=60000'}\n"
        "DJANGO_ASYNC_FAST = {'BLOCKING': ['site_slow.Slow'], 'THREADED': ['slow']}\n",
        site_asgi="from django_async_fast.asgi import get_asgi_application\n"
        "application = get_asgi_application()\n",
        site_slow="class Slow:\n    def __init__(self, get_response): pass\n",
        **PROJECT,
    )
    assert code == 0, report
    for line in (
        "note     default: no pool: each block with a query opens a connection",
        "note     default: statement_timeout set: streams do not fetch",
        "ok       lite: SQLite, waited for on the loop",
        "note     slow: SQLite, in a thread for each connection",
        "ok       site_slow.Slow has a thread, as BLOCKING says",
        "ok       1 of 2 middleware without a thread",
        "ok       2 asynchronous views, awaited; 1 synchronous ones, on the loop",
        "ok       site_models keeps site_models.local by thread: each request has its own",
        "note     site_models has locks: site_models.Counter.lock, site_models.lock.",
    ):
        assert line in report, report


def test_djangos_own_application(doctor: Doctor) -> None:
    asgi = (
        "from django.core.asgi import get_asgi_application\n"
        "class Old:\n"
        "    async_capable = False\n"
        "    def __init__(self, get_response): pass\n"
        "application = get_asgi_application()\n"
    )
    lines = (
        "ASGI_APPLICATION = 'site_asgi.application'\nMIDDLEWARE = ['site_asgi.Old']\n"
    )
    code, report = doctor(lines, site_asgi=asgi)
    assert code == 0, report
    assert "is Django's own application: its requests have no block" in report
    assert "-> in asgi.py: from django_async_fast.asgi import" in report
    assert "note     site_asgi.Old is synchronous: Django gives it" in report
    assert "0 synchronous ones, in threads" in report

    ours = "django_async_fast.middleware.ConnectionMiddleware"
    code, report = doctor(f"{lines}MIDDLEWARE.insert(0, '{ours}')\n", site_asgi=asgi)
    assert "ok       site_asgi.application is Django's; ConnectionMiddleware" in report


def test_what_others_have_replaced_is_told_with_its_cost(doctor: Doctor) -> None:
    code, report = doctor(
        "INSTALLED_APPS.append('site_tool.Config')",
        site_tool="""
from functools import wraps

from django.apps import AppConfig
from django.db.backends.utils import CursorWrapper
from django.db.models import signals

def seen(function):
    @wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)
    return inner

class Config(AppConfig):
    name = "site_tool"
    path = "."
    def ready(self):
        CursorWrapper.execute = seen(CursorWrapper.execute)
        signals.post_init.connect(seen)
""",
    )
    assert code == 0, report
    assert (
        "note     site_tool has replaced CursorWrapper.execute: it sees every call, and "
        "statements and rows go through Django's cursors" in report
    )
    assert "CursorDebugWrapper" not in report  # it calls what has been replaced
    assert (
        "note     contenttypes.ContentType: made by from_db(): pre_init or post_init "
        "has a receiver" in report
    )


@pytest.mark.skipif(pgbouncer.PROGRAM is None, reason=pgbouncer.NO_PROGRAM)
@pytest.mark.parametrize("wrong", [True, False])
def test_a_pooler_before_the_server(
    doctor: Doctor, dsn: str, tmp_path: Path, wrong: bool
) -> None:
    home = tmp_path / "pgbouncer"
    home.mkdir()
    home.chmod(0o755)
    lines = (
        "DATABASES['default']['OPTIONS'] = {'prepare_threshold': 5}\n"
        if wrong
        else "DATABASES['default']['DISABLE_SERVER_SIDE_CURSORS'] = True\n"
    )
    with pgbouncer.pgbouncer(dsn, home, servers=2) as pooled:
        code, report = doctor(lines, dsn=pooled)
    assert "default: PgBouncer 1." in report
    assert "in transaction mode" in report
    assert code == (1 if wrong else 0), report
    assert ("-> DISABLE_SERVER_SIDE_CURSORS = True" in report) == wrong
    assert ("-> leave prepare_threshold out" in report) == wrong


def test_without_a_project_it_says_so() -> None:
    done = ended("-m", "django_async_fast", "doctor")
    assert done.returncode == 0
    assert "No project was looked at" in done.stdout


def test_the_management_command_is_the_same(doctor: Doctor, tmp_path: Path) -> None:
    line = "DJANGO_ASYNC_FAST = {'LAZY': 'never'}"
    code, report = doctor(line)
    command = "-m", "django", "doctor", "--settings", "site_settings"
    done = ended(*command, cwd=tmp_path, PYTHONPATH=f"{ROOT}:{tmp_path}")
    assert (done.returncode, done.stderr) == (code, "") == (1, "")
    assert _without_times(done.stdout) == _without_times(report)


def _without_times(report: str) -> list[str]:
    return [line for line in report.splitlines() if not line.endswith(" ms")]

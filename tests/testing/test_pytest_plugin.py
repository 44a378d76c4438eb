"""The pytest plugin, with and without pytest-django and pytest-asyncio."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

SETTINGS = """
from tests.settings import *

for alias in ("default", "other"):
    name = f"django_async_fast_test_plugin_{alias}"
    DATABASES[alias]["TEST"] = {"NAME": name}
del DATABASES["pooled"]
ROOT_URLCONF = "urls"
MIDDLEWARE = ["django_async_fast.middleware.ConnectionMiddleware"]
"""

URLS = """
from django.db import new_connection, transaction
from django.http import JsonResponse
from django.urls import path
from tests.testapp.models import Tag

async def own_block(request):
    async with new_connection(), transaction.atomic(durable=True):
        await Tag.objects.acreate(name="view")
        return JsonResponse({"count": await Tag.objects.acount()})

async def middlewares_block(request):
    return JsonResponse({"count": await Tag.objects.acount()})

def synchronous(request):
    return JsonResponse({"count": Tag.objects.count()})

urlpatterns = [
    path("own", own_block),
    path("middleware", middlewares_block),
    path("synchronous", synchronous),
]
"""

TESTS = """
import asyncio, sys
import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from django_async_fast import async_connections, new_connection, run_sync

pytestmark = MARKS

@pytest.fixture
def Tag():
    from tests.testapp.models import Tag
    return Tag

async def committed(Tag):
    async def look():
        async with new_connection():
            return await Tag.objects.acount()
    return await asyncio.to_thread(lambda: asyncio.run(look()))

@pytest.mark.parametrize("i", range(3))
async def test_rolled_back(async_db, Tag, i):
    await Tag.objects.acreate(name="a")
    assert await Tag.objects.acount() == 1
    assert await run_sync(Tag.objects.count) == 1
    assert await sync_to_async(Tag.objects.count)() == 1
    assert await committed(Tag) == 0

@pytest.mark.parametrize("view", ["own", "middleware", "synchronous"])
async def test_views(async_db, Tag, view):
    await Tag.objects.acreate(name="a")
    response = await AsyncClient().get(f"/{view}")
    assert response.json() == {"count": 1 + (view == "own")}
    assert await committed(Tag) == 0

@pytest.mark.parametrize("i", range(2))
async def test_committed_and_emptied(async_transactional_db, Tag, i):
    assert await Tag.objects.acount() == 0
    await Tag.objects.acreate(name="a")
    assert await committed(Tag) == 1
    response = await AsyncClient().get("/own")
    assert response.json() == {"count": 2}
    response = await AsyncClient().get("/synchronous")
    assert response.json() == {"count": 2}

@pytest.mark.parametrize("i", range(2))
async def test_both(async_db, async_transactional_db, Tag, i):
    await Tag.objects.acreate(name="a")
    assert await committed(Tag) == 1

class TestInClasses:
    @pytest.mark.usefixtures("async_db")
    async def test_method(self, Tag):
        assert await Tag.objects.acount() == 0
        assert async_connections["default"].in_atomic_block
"""

ASYNC_FIXTURES = """
import pytest_asyncio
from django.db import transaction

@pytest_asyncio.fixture
async def tag(async_db, Tag):
    await run_sync(Tag.objects.create, name="from another fixture")
    yield await Tag.objects.acreate(name="from a fixture")
    assert await Tag.objects.acount() == 2

async def test_data_of_a_fixture(tag, Tag):
    assert await Tag.objects.aget(name="from a fixture") == tag
    assert await Tag.objects.acount() == 2

@pytest_asyncio.fixture
async def savepoint(async_db):
    async with transaction.atomic():
        yield

async def test_atomic_around_the_test(savepoint, Tag):
    assert len(async_connections["default"].savepoint_ids) == 1
    await Tag.objects.acreate(name="a")

@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("i", range(2))
async def test_in_the_loop_of_the_session(async_db, Tag, i):
    await Tag.objects.acreate(name="a")
    assert await Tag.objects.acount() == 1

@pytest.mark.asyncio(loop_scope="class")
class TestLoopOfTheClass:
    async def test_rolled_back(self, async_db, Tag):
        await Tag.objects.acreate(name="a")

    async def test_emptied(self, async_transactional_db, Tag):
        await Tag.objects.acreate(name="a")
        assert await committed(Tag) == 1
"""

RUNNER = """
import asyncio, inspect
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        names = inspect.signature(pyfuncitem.obj).parameters
        asyncio.run(pyfuncitem.obj(**{n: pyfuncitem.funcargs[n] for n in names}))
        return True
"""


@pytest.fixture
def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{pytester.path}")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "project_settings")
    pytester.makepyfile(project_settings=SETTINGS, urls=URLS)
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    return pytester


def run(project: pytest.Pytester, *plugins: str) -> pytest.RunResult:
    names = ("django_async_fast.pytest_plugin", *plugins)
    options = [option for name in names for option in ("-p", name)]
    return project.runpytest_subprocess(*options, "-q", "-W", "error", timeout=100)


def configure(
    project: pytest.Pytester, *lines: str, mode: str = "auto", scope: str = "function"
) -> None:
    fixtures = f"asyncio_default_fixture_loop_scope = {scope}"
    options = f"asyncio_mode = {mode}", fixtures, "filterwarnings = error", *lines
    project.makeini("\n".join(("[pytest]", *options)))


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_with_pytest_django_and_pytest_asyncio(
    project: pytest.Pytester, mode: str
) -> None:
    configure(project, mode=mode)
    marks = "[pytest.mark.asyncio]" if mode == "strict" else "[]"
    source = TESTS.replace("MARKS", marks) + ASYNC_FIXTURES
    project.makepyfile(test_inner=source)
    result = run(project, "pytest_django.plugin", "pytest_asyncio.plugin")
    result.assert_outcomes(passed=17)


def test_a_session_wide_loop(project: pytest.Pytester) -> None:
    configure(project, "asyncio_default_test_loop_scope = session", scope="session")
    project.makepyfile(test_inner=TESTS.replace("MARKS", "[]"))
    result = run(project, "pytest_django.plugin", "pytest_asyncio.plugin")
    result.assert_outcomes(passed=11)


def test_with_pytest_asyncio_alone(project: pytest.Pytester) -> None:
    configure(project)
    project.makeconftest("import django\ndjango.setup()")
    project.makepyfile(test_inner=TESTS.replace("MARKS", "[]") + ASYNC_FIXTURES)
    result = run(project, "pytest_asyncio.plugin")
    result.assert_outcomes(passed=17)


def test_with_pytest_django_alone(project: pytest.Pytester) -> None:
    project.makeconftest(RUNNER)
    project.makepyfile(test_inner=TESTS.replace("MARKS", "[]"))
    result = run(project, "pytest_django.plugin")
    result.assert_outcomes(passed=11)


def test_with_neither(project: pytest.Pytester) -> None:
    project.makeconftest(RUNNER)
    project.makepyfile(test_inner=TESTS.replace("MARKS", "[]"))
    run(project).assert_outcomes(passed=11)


def test_databases_made_by_the_project(project: pytest.Pytester) -> None:
    project.makeconftest(
        RUNNER
        + """
@pytest.fixture(scope="session")
def async_db_setup():
    import django
    django.setup()
    from django.test.utils import setup_databases, teardown_databases
    databases = setup_databases(verbosity=0, interactive=False, aliases=["default"])
    yield
    teardown_databases(databases, verbosity=0)
"""
    )
    project.makepyfile(
        """
        async def test_inner(async_db):
            from tests.testapp.models import Tag
            assert await Tag.objects.acount() == 0
        """
    )
    run(project).assert_outcomes(passed=1)


def test_a_synchronous_test_is_told(project: pytest.Pytester) -> None:
    project.makepyfile(test_inner="def test_sync(async_db): pass")
    result = run(project, "pytest_django.plugin")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*async_db is for tests that are `async def`*"])


def test_it_imports_nothing_of_django(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import sys

        def test_inner(request):
            plugins = request.config.pluginmanager
            assert plugins.has_plugin("django_async_fast.databases")
            assert "django" not in sys.modules
            assert "asgiref" not in sys.modules
        """
    )
    project.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    run(project, "pytest_asyncio.plugin").assert_outcomes(passed=1)

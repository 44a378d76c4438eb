"""A real server for every run, and coroutines as tests.

The server starts before Django is set up, because settings name its port. Tests get no
transaction of their own: they see what users see, and the tables they filled are
emptied afterwards.
"""

import asyncio
import inspect
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tools.conformance.cluster import cluster, system_binaries
from tools.postgres import django_database, postgres, server_version
from tools.versions import compiled_parts, versions

NATIVE = Path(__file__).parent / "native"
ASYNC_TEST_TIMEOUT = 120.0
LOOPS = ("asyncio", "uvloop")
# Rows that belong to the schema, written once by post_migrate.
PERMANENT = {"django_content_type", "auth_permission", "django_migrations"}
RESTART = """
SELECT setval(format('%%I', sequencename)::regclass, 1, false) FROM pg_sequences
WHERE schemaname = 'public' AND last_value IS NOT NULL AND sequencename <> ALL (%s)
"""

# No outcome depends on how fast the machine is; a fixture is one for all examples.
# A change is judged by the same examples each time; a run at one's desk draws new ones.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("tests")

_server = ExitStack()
_dsn = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("django-async-fast")
    group.addoption(
        "--loop",
        choices=LOOPS,
        default=os.environ.get("TEST_LOOP", "asyncio"),
        help="event loop for async tests (or TEST_LOOP)",
    )
    group.addoption(
        "--loop-debug",
        action="store_true",
        help="run async tests in asyncio's debug mode",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.option.help or config.option.markers:
        return
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # A shell starts what runs in its background so; some tests press Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    import django

    ours = "DATABASE_URL" not in os.environ
    config.stash[_dsn] = os.environ["DATABASE_URL"] = _server.enter_context(postgres())
    if ours:
        _server.callback(os.environ.pop, "DATABASE_URL")
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()


def pytest_unconfigure() -> None:
    _server.close()


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [
        f"server: PostgreSQL {server_version(config.stash[_dsn])}",
        f"versions: {versions()}",
        f"compiled parts: {compiled_parts()}",
        f"event loop: {config.option.loop}",
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from django_async_fast import _native
    from django_async_fast.querysets.compiled import verify

    needs_core = pytest.mark.skipif(not _native.COMPILED, reason="about the core")
    verified = pytest.mark.skipif(
        verify.ON, reason="Django compiles each statement too"
    )
    for item in items:
        if item.get_closest_marker("core"):
            item.add_marker(needs_core)
        if item.get_closest_marker("not_verified"):
            item.add_marker(verified)
        if NATIVE in item.path.parents:
            item.add_marker(pytest.mark.fallback)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(inspect.unwrap(pyfuncitem.obj)):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    arguments = {
        name: pyfuncitem.funcargs[name]
        for name in wanted
        if name in pyfuncitem.funcargs
    }
    with asyncio.Runner(
        debug=pyfuncitem.config.option.loop_debug or None,
        loop_factory=_loop_factory(pyfuncitem.config.option.loop),
    ) as runner:
        runner.run(_limited(pyfuncitem.obj(**arguments)))
    return True


async def _limited(test: Awaitable[None]) -> None:
    async with asyncio.timeout(ASYNC_TEST_TIMEOUT):
        await test


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


@pytest.fixture(scope="session")
def server_dsn(pytestconfig: pytest.Config) -> str:
    """Conninfo of the server's maintenance database."""
    return pytestconfig.stash[_dsn]


@pytest.fixture(scope="session")
def system_dsn() -> Iterator[str]:
    """Conninfo of the system's PostgreSQL, which has extensions."""
    if system_binaries() is None:
        pytest.skip("no system PostgreSQL")
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("DATABASE_URL")  # of the package's server
            dsn, _ = stack.enter_context(cluster())
        yield dsn


@pytest.fixture(scope="module")
def system_alias(system_dsn: str) -> Iterator[str]:
    """The alias of a database that has extensions."""
    from django.contrib.postgres.signals import register_type_handlers
    from django.db import connections
    from django.db.backends.signals import connection_created

    defaults = connections["default"].settings_dict
    connections.settings["system"] = {**defaults, **django_database(system_dsn)}
    connection_created.connect(register_type_handlers)
    yield "system"
    connection_created.disconnect(register_type_handlers)
    connections["system"].close()
    del connections["system"]
    del connections.settings["system"]


@pytest.fixture(scope="session")
def dsn(_databases: dict[str, str]) -> str:
    """Conninfo of the database behind `default` (and `pooled`)."""
    return _databases["default"]


@pytest.fixture(scope="session")
def other_dsn(_databases: dict[str, str]) -> str:
    """Conninfo of the database behind `other`."""
    return _databases["other"]


@pytest.fixture
def admin(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection to the database behind `default`, beside those of Django."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session", autouse=True)
def _databases(server_dsn: str) -> Iterator[dict[str, str]]:
    """Create the databases and their tables; yield their conninfo by alias."""
    from asgiref.sync import sync_to_async
    from django.db import connections
    from django.test.utils import setup_databases

    setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    names = {
        alias: str(connections[alias].settings_dict["NAME"])
        for alias in ("default", "other")
    }
    connections.close_all()
    yield {
        alias: make_conninfo(server_dsn, dbname=name) for alias, name in names.items()
    }
    asyncio.run(sync_to_async(connections.close_all)())  # those of asgiref's thread
    connections.close_all()
    connections["pooled"].close_pool()
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        for name in names.values():
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            admin.execute(drop.format(sql.Identifier(name)))


class _Janitor:
    """Empties the tables of one database, over a connection that no test can touch."""

    def __init__(self, dsn: str) -> None:
        # A test that left a transaction open would block TRUNCATE: say so instead.
        self.connection = psycopg.connect(
            dsn,
            autocommit=True,
            options="-c lock_timeout=5s -c client_min_messages=error",
        )
        rows = self.connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        )
        filled = sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})")
        self.filled = sql.SQL(" UNION ALL ").join(
            filled.format(sql.Literal(table), sql.Identifier(table))
            for (table,) in rows
            if table not in PERMANENT
        )

    def restart(self) -> None:
        """Have the keys of tables that are empty begin at 1, though rows were deleted."""
        self.connection.execute(RESTART, [[f"{name}_id_seq" for name in PERMANENT]])

    def clean(self) -> None:
        tables = [table for (table,) in self.connection.execute(self.filled)]
        if tables:
            names = sql.SQL(", ").join(map(sql.Identifier, tables))
            truncate = sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE")
            self.connection.execute(truncate.format(names))


@pytest.fixture(scope="session")
def _janitors(_databases: dict[str, str]) -> Iterator[list[_Janitor]]:
    janitors = [_Janitor(dsn) for dsn in _databases.values()]
    yield janitors
    for janitor in janitors:
        janitor.connection.close()


@pytest.fixture(autouse=True)
def _clean_tables(
    request: pytest.FixtureRequest, _janitors: list[_Janitor]
) -> Iterator[None]:
    yield
    if request.node.get_closest_marker("keep_rows") is None:
        for janitor in _janitors:
            janitor.clean()


@pytest.fixture(scope="module", autouse=True)
def _clean_tables_of_module(_janitors: list[_Janitor]) -> Iterator[None]:
    yield
    for janitor in _janitors:
        janitor.clean()
        janitor.restart()


@pytest.fixture
def settings_override() -> Iterator[Callable[..., None]]:
    """Change settings for one test: `settings_override(NAME=value)`."""
    from django.test import override_settings

    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(override_settings(**changes))


@pytest.fixture
def session_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the sessions of the file backend to this test."""
    from django.conf import settings
    from django.contrib.sessions.backends.file import SessionStore

    monkeypatch.setattr(settings, "SESSION_FILE_PATH", str(tmp_path), raising=False)
    monkeypatch.setattr(SessionStore, "_storage_path", str(tmp_path), raising=False)
    return tmp_path


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time no step, also after a test in debug mode: each wants a greenlet then."""
    from django_async_fast.bridge import workers

    monkeypatch.setattr(workers, "timed_step", None)


@pytest.fixture
def without_core() -> Callable[[], AbstractContextManager[None]]:
    """Return what makes a context in which Django's iterables build the rows."""
    from tests.support.django_rows import djangos_rows

    return djangos_rows


@pytest.fixture
def sessions(dsn: str) -> Iterator[Callable[[], list[str]]]:
    """Return the states of the sessions that requests have on the server."""
    from tests.support.request_sessions import request_sessions

    with request_sessions(dsn) as states:
        yield states

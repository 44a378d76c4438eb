"""pytest fixtures: `async_db` and `async_transactional_db`.

They use what is installed. pytest-django, or else Django's own functions, makes
the test databases. With pytest-asyncio the block is open from the fixture on,
in the test's event loop; with whatever else runs the test it is opened around
the test function. Nothing of Django is imported before a test asks for it.
"""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from types import ModuleType
from typing import Any

import pytest

LOOP_SCOPES: tuple[Any, ...] = ("function", "class", "module", "package", "session")


def pytest_configure(config: pytest.Config) -> None:
    plugins = config.pluginmanager
    names = {getattr(plugin, "__name__", "") for plugin in plugins.get_plugins()}
    databases = _of_pytest_django if "pytest_django.plugin" in names else _of_django
    plugins.register(databases(), "django_async_fast.databases")
    if "pytest_asyncio.plugin" in names:
        plugins.register(_asyncio_fixtures(), "django_async_fast.asyncio")


@pytest.fixture
def async_db(_async_db_ready: None, request: pytest.FixtureRequest) -> Iterator[None]:
    """Give an `async def` test connections whose work is rolled back.

    Blocks that the code under test opens join the test's.
    """
    if "async_transactional_db" in request.fixturenames:
        yield  # that one wins
    else:
        yield from _open(request, _rolled_back)


@pytest.fixture
def async_transactional_db(
    _async_transactional_db_ready: None, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Give an `async def` test connections; all tables are emptied afterwards."""
    yield from _open(request, _committing)


def _rolled_back() -> AbstractAsyncContextManager[Any]:
    from .shared_connection import shared_connection

    return shared_connection(force_rollback=True)


@asynccontextmanager
async def _committing() -> AsyncIterator[None]:
    from ..connections.blocks import new_connection
    from .shared_connection import close_threads_connections

    try:
        async with new_connection():
            yield
    finally:
        await close_threads_connections()


def _open(
    request: pytest.FixtureRequest,
    block: Callable[[], AbstractAsyncContextManager[Any]],
) -> Iterator[None]:
    test: Any = getattr(request.node, "obj", None)
    if not inspect.iscoroutinefunction(inspect.unwrap(test)):
        raise pytest.UsageError(
            f"{request.fixturename} is for tests that are `async def` functions, which "
            f"{request.node.nodeid} is not. In synchronous tests use Django's own "
            "connections; for coroutines in a unittest class there is "
            "django_async_fast.test.TestCase."
        )
    scope = _loop_scope(request)
    if scope is not None:
        request.getfixturevalue(f"{block.__name__}_{scope}")
        block = nullcontext

    @functools.wraps(test)
    async def inside(*args: Any, **kwargs: Any) -> Any:
        from ..bridge.driving import driven

        async with block():
            return await driven(test(*args, **kwargs))

    request.node.obj = inside
    yield
    request.node.obj = test


def _loop_scope(request: pytest.FixtureRequest) -> str | None:
    """Return the scope of pytest-asyncio's loop for the test, or None."""
    marker = request.node.get_closest_marker("asyncio")
    if not request.config.pluginmanager.has_plugin("django_async_fast.asyncio"):
        return None
    if marker is None:
        return None
    return (
        marker.kwargs.get("loop_scope")
        or marker.kwargs.get("scope")
        or request.config.getini("asyncio_default_test_loop_scope")
    )


def _asyncio_fixtures() -> ModuleType:
    """Return fixtures that open a block in pytest-asyncio's loop of each scope.

    pytest-asyncio hands the context variables that such a fixture sets on to
    the fixtures after it, and to the test.
    """
    import pytest_asyncio

    fixtures = {}
    for block in (_rolled_back, _committing):
        for scope in LOOP_SCOPES:
            decorate = pytest_asyncio.fixture(loop_scope=scope)
            fixtures[f"{block.__name__}_{scope}"] = decorate(_fixture(block))
    return _module("asyncio", **fixtures)


def _fixture(
    block: Callable[[], AbstractAsyncContextManager[Any]],
) -> Callable[[], AsyncIterator[None]]:
    async def fixture() -> AsyncIterator[None]:
        async with block():
            yield

    return fixture


def _module(name: str, **fixtures: Any) -> ModuleType:
    # What pytest looks for fixtures in. Methods of an object would do, if one
    # of them were not of session scope.
    module = ModuleType(f"{__name__}.{name}")
    vars(module).update(fixtures)
    return module


def _of_pytest_django() -> ModuleType:
    """The test databases are pytest-django's."""

    @pytest.fixture
    def _async_db_ready(db: None) -> None:
        pass

    @pytest.fixture
    def _async_transactional_db_ready(transactional_db: None) -> None:
        pass

    return _module(
        "databases",
        _async_db_ready=_async_db_ready,
        _async_transactional_db_ready=_async_transactional_db_ready,
    )


def _of_django() -> ModuleType:
    """The test databases are made by Django's functions, or by a conftest."""

    @pytest.fixture(scope="session")
    def async_db_setup() -> Iterator[None]:
        """Make the test databases. Override it if something else makes them."""
        yield from _set_up_databases()

    @pytest.fixture
    def _async_db_ready(async_db_setup: None) -> None:
        pass

    @pytest.fixture
    def _async_transactional_db_ready(async_db_setup: None) -> Iterator[None]:
        yield
        _flush()

    return _module(
        "databases",
        async_db_setup=async_db_setup,
        _async_db_ready=_async_db_ready,
        _async_transactional_db_ready=_async_transactional_db_ready,
    )


def _set_up_databases() -> Iterator[None]:
    import django
    from django.apps import apps
    from django.test import utils

    if not apps.ready:
        django.setup()
    ours = not hasattr(utils._TestState, "saved_data")
    if ours:
        utils.setup_test_environment()
    databases = utils.setup_databases(verbosity=0, interactive=False)
    yield
    utils.teardown_databases(databases, verbosity=0)
    if ours:
        utils.teardown_test_environment()


def _flush() -> None:
    from django.db import connections
    from django.test import TransactionTestCase

    class Flush(TransactionTestCase):
        databases = set(connections)

    Flush("__init__")._fixture_teardown()

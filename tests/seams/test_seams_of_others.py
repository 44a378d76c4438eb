"""Tools that replace what a seam of ours is on: before, in `ready()`, or later."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.transaction import Atomic

from django_async_fast import new_connection, run_sync
from django_async_fast.bridge import users_code
from tests.support.fresh_python import run
from tests.testapp.models import Tag

from .test_seams import SETUP


class Watcher:
    """What caching tools do: they want to know where a transaction begins and ends."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def patch(self) -> None:
        Atomic.__enter__ = self.entering(Atomic.__enter__)
        Atomic.__exit__ = self.leaving(Atomic.__exit__)

    def unpatch(self) -> None:
        Atomic.__enter__ = Atomic.__enter__.__wrapped__
        Atomic.__exit__ = Atomic.__exit__.__wrapped__

    def entering(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def inner(atomic: Any) -> None:
            self.seen.append("enter")
            original(atomic)

        return inner

    def leaving(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def inner(atomic: Any, exc_type: Any, exc_value: Any, traceback: Any) -> None:
            broken = transaction.get_connection(atomic.using).needs_rollback
            self.seen.append("commit" if exc_type is None and not broken else "undo")
            original(atomic, exc_type, exc_value, traceback)

        return inner


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    before = Atomic.__enter__, Atomic.__exit__
    watcher = Watcher()
    watcher.patch()
    yield watcher
    watcher.unpatch()
    assert (Atomic.__enter__, Atomic.__exit__) == before


def synchronous() -> None:
    with transaction.atomic():
        Tag.objects.create(name="kept")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Tag.objects.create(name="gone")
            raise ZeroDivisionError


EXPECTED = ["enter", "enter", "undo", "commit"]


def test_in_synchronous_code(watcher: Watcher) -> None:
    synchronous()
    assert watcher.seen == EXPECTED


async def test_on_the_bridge(watcher: Watcher) -> None:
    async with new_connection():
        await run_sync(synchronous)
    assert watcher.seen == EXPECTED


async def test_in_a_coroutine(watcher: Watcher) -> None:
    async with new_connection():
        async with transaction.atomic():
            await Tag.objects.acreate(name="kept")
            with pytest.raises(ZeroDivisionError):
                async with transaction.atomic():
                    await Tag.objects.acreate(name="gone")
                    raise ZeroDivisionError
        assert [tag.name async for tag in Tag.objects.all()] == ["kept"]
    assert watcher.seen == EXPECTED


async def test_as_a_decorator(watcher: Watcher) -> None:
    @transaction.atomic
    async def work() -> None:
        await Tag.objects.acreate(name="kept")

    async with new_connection():
        await work()
        assert watcher.seen == ["enter", "commit"]


async def test_a_tool_that_queries_before_it_lets_in(watcher: Watcher) -> None:
    def counting(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def inner(atomic: Any) -> None:
            watcher.seen.append(Tag.objects.count())
            original(atomic)

        return inner

    with replaced(Atomic, "__enter__", counting):
        async with new_connection(), transaction.atomic():
            await Tag.objects.acreate(name="kept")
    assert watcher.seen == [0, "enter", "commit"]


async def test_the_place_is_the_users(watcher: Watcher) -> None:
    async with new_connection() as conn, transaction.atomic():
        assert users_code.describe(conn.gate.innermost.place).startswith(__file__)


@contextmanager
def replaced(owner: Any, name: str, wrap: Any) -> Iterator[None]:
    before = vars(owner)[name]
    setattr(owner, name, wrap(before))
    try:
        yield
    finally:
        setattr(owner, name, before)


USE = """
from tests import tool
from django.contrib.contenttypes.models import ContentType
from django.db import connection, new_connection, transaction

def sync():
    tool.seen.clear()
    with transaction.atomic():
        for _ in range(3):
            ContentType.objects.get(pk=1)
    return tool.seen.copy()

async def in_a_block():
    tool.seen.clear()
    async with new_connection(), transaction.atomic():
        for _ in range(3):
            await ContentType.objects.aget(pk=1)
    return tool.seen.copy()

def end():
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS django_content_type")
    connection.close()

end()
with connection.schema_editor() as editor:
    editor.create_model(ContentType)
ContentType.objects.create(pk=1, app_label="a", model="b")
ALL = ["enter", "get", "get", "get", "exit"]
"""


@pytest.mark.parametrize(
    "apps", ["'django_async_fast', 'tests.tool'", "'tests.tool', 'django_async_fast'"]
)
def test_an_app_that_hooks_in_when_ready(apps: str) -> None:
    run(
        SETUP,
        f"setup('django.contrib.contenttypes', {apps})",
        USE,
        """
        assert sync() == ALL
        assert asyncio.run(in_a_block()) == ALL
        tool.unpatch()
        assert sync() == asyncio.run(in_a_block()) == []
        from django.db.transaction import Atomic
        from django_async_fast.transactions import atomic as ours
        assert Atomic.__enter__ is ours.enter
        tool.patch()
        assert asyncio.run(in_a_block()) == ALL
        end()
        """,
    )


def test_a_tool_that_hooks_in_before_setup() -> None:
    run(
        SETUP,
        """
        from tests import tool
        tool.patch()
        setup("django.contrib.contenttypes", "django_async_fast")
        """,
        USE,
        """
        assert sync() == ALL
        assert asyncio.run(in_a_block()) == ALL
        end()
        """,
    )


def test_uninstall_leaves_what_is_somebody_elses() -> None:
    run(
        SETUP,
        """
        setup("django.contrib.contenttypes", "django_async_fast")
        """,
        USE,
        """
        from django.db.models import QuerySet
        from django.db.transaction import Atomic
        from django_async_fast import install, uninstall
        tool.patch()
        theirs = Atomic.__enter__, Atomic.__exit__, QuerySet.get
        uninstall()
        assert theirs == (Atomic.__enter__, Atomic.__exit__, QuerySet.get)
        assert not hasattr(Atomic, "__aenter__")
        assert sync() == ALL
        for _ in range(2):
            install()
            assert theirs == (Atomic.__enter__, Atomic.__exit__, QuerySet.get)
            assert sync() == asyncio.run(in_a_block()) == ALL
            uninstall()
        tool.unpatch()
        uninstall()
        from django.db import models
        assert Atomic.__enter__.__module__ == "django.db.transaction"
        assert Atomic.__enter__.__code__.co_filename == transaction.__file__
        assert QuerySet.get.__code__.co_filename == models.query.__file__
        install()
        assert asyncio.run(in_a_block()) == []
        end()
        """,
    )


def test_managers_made_from_a_queryset_have_the_seams() -> None:
    class Own(QuerySet[Any]):
        def mine(self) -> Any:
            return self.filter(name="a")

    manager: Any = Own.as_manager()
    manager.model = Tag
    Tag.objects.create(name="a")
    assert manager.get(name="a") == manager.mine().get()
    assert connection.vendor == "postgresql"

"""The seams into Django: put in once, taken out without a trace, imported by nobody."""

from importlib.util import find_spec

import pytest

import django_async_fast
from django_async_fast.seams.seam_list import CACHE_MODULE, NATIVE_MODULES
from tests.support.fresh_python import ended, run

SETUP = """
import asyncio, os, sys
import django
from django.conf import settings
from tools.postgres import django_database

def setup(*apps):
    settings.configure(
        DATABASES={"default": django_database(os.environ["DATABASE_URL"])},
        INSTALLED_APPS=apps,
        SECRET_KEY="tests",
        USE_TZ=True,
    )
    django.setup()
"""

# The state of everything that a seam could touch: every attribute of every module of
# Django's and asgiref's, and of every class in them.
SNAPSHOT = """
import inspect

def snapshot():
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in ("django", "asgiref"):
            continue
        for key, value in list(vars(module).items()):
            found[name, key] = value
            if inspect.isclass(value) and value.__module__ == name:
                for attribute, own in vars(value).items():
                    found[name, key, attribute] = own
    from django.db import connections
    for key, value in vars(connections).items():
        found["django.db.connections", key] = value
    return found

def different(before, after):
    return sorted(
        key for key in before.keys() | after.keys()
        if before.get(key, KeyError) is not after.get(key, KeyError)
        # Django fills caches of its own.
        and not key[-1].startswith(("_abc_", "__static_attributes__"))
    )
"""

ASK = """
async def ask():
    from django.db import new_connection
    async with new_connection() as conn:
        async with conn.acursor() as cursor:
            await cursor.execute("SELECT 1")
            return await cursor.fetchone()
"""


APPS = "'django.contrib.contenttypes', 'django.contrib.auth', 'django.contrib.sessions'"


@pytest.mark.parametrize("name", django_async_fast.__all__)
def test_a_public_name_is_no_modules(name: str) -> None:
    # Importing the module would put it in the name's place.
    assert find_spec(f"django_async_fast.{name}") is None
    assert getattr(django_async_fast, name) is not None


def test_install_and_uninstall_leave_no_trace() -> None:
    run(
        SETUP,
        SNAPSHOT,
        f"""
        setup({APPS})
        import django_async_fast.connections.blocks, django_async_fast.transaction
        from django_async_fast import install, uninstall
        from django_async_fast.seams.seam_list import CACHE_MODULE, NATIVE_MODULES, seams
        import importlib
        for name in (*NATIVE_MODULES, CACHE_MODULE):
            importlib.import_module(name)
        list(seams())  # imports what it needs
        path = list(sys.meta_path)
        before = snapshot()
        for _ in range(2):
            install()
            assert len(different(before, snapshot())) > 30
            assert sys.meta_path != path
            uninstall()
            assert different(before, snapshot()) == []
            assert sys.meta_path == path
        uninstall()  # nothing is installed: nothing to do
        assert different(before, snapshot()) == []
        """,
    )


def test_install_is_idempotent() -> None:
    run(
        SETUP,
        SNAPSHOT,
        ASK,
        f"""
        setup({APPS}, "django_async_fast")
        from django_async_fast import install, uninstall
        once, path = snapshot(), list(sys.meta_path)
        install()
        install()
        assert different(once, snapshot()) == []
        assert sys.meta_path == path
        assert asyncio.run(ask()) == (1,)
        uninstall()
        from django.db import transaction
        assert not hasattr(django.db, "new_connection")
        assert not hasattr(transaction, "acommit")
        assert not hasattr(transaction.Atomic, "__aenter__")
        install()
        assert asyncio.run(ask()) == (1,)
        """,
    )


@pytest.mark.parametrize("name", [*NATIVE_MODULES, CACHE_MODULE])
def test_a_module_is_patched_when_it_is_imported(name: str) -> None:
    # In this process every one is imported; in what order differs by installed apps.
    from importlib import import_module

    from django_async_fast.connections import dispatch

    module = import_module(name)
    cache = name == CACHE_MODULE
    expected = dispatch.cache_sync_to_async if cache else dispatch.sync_to_async
    assert module.sync_to_async is expected


def test_modules_imported_later_are_patched_and_restored() -> None:
    run(
        SETUP,
        """
        setup("django.contrib.contenttypes", "django_async_fast")
        from asgiref.sync import sync_to_async as threaded
        from django_async_fast import uninstall; from django_async_fast.connections import dispatch
        name = "django.contrib.sessions.backends.base"
        assert name not in sys.modules
        import django.contrib.sessions.backends.base as late
        assert late.sync_to_async is dispatch.sync_to_async
        assert late.__spec__.name == name and late.__file__ and late.SessionBase
        uninstall()
        assert late.sync_to_async is threaded
        import django.contrib.auth.decorators as untouched
        assert untouched.sync_to_async is threaded
        """,
    )


def test_nothing_is_imported_for_apps_that_are_not_installed() -> None:
    run(
        SETUP,
        ASK,
        """
        setup("django_async_fast")
        imported = [name for name in sys.modules if name.startswith("django.contrib.")]
        assert imported == [], imported
        assert asyncio.run(ask()) == (1,)
        # The query may need Django's own contrib code, but never its models.
        for name in sys.modules:
            assert not (name.startswith("django.contrib") and ".models" in name), name
        """,
    )


def test_a_project_without_contrib_apps() -> None:
    run(
        SETUP,
        """
        import threading
        setup("django_async_fast")
        from django.db import models, new_connection, transaction, connection
        from django_async_fast import run_sync

        class Thing(models.Model):
            name = models.CharField(max_length=10)
            class Meta:
                app_label = "things"

        def create():
            with connection.schema_editor() as editor:
                editor.create_model(Thing)

        async def main():
            async with new_connection(force_rollback=True):
                await run_sync(create)
                async with transaction.atomic():
                    thing = await Thing.objects.acreate(name="a")
                assert await Thing.objects.aget() == thing
                assert [t async for t in Thing.objects.all()] == [thing]
            assert threading.active_count() == 1

        asyncio.run(main())
        """,
    )


def test_install_without_the_app() -> None:
    """A script that cannot change INSTALLED_APPS calls install() itself."""
    run(
        SETUP,
        ASK,
        """
        setup()
        from django_async_fast import install
        install()
        assert asyncio.run(ask()) == (1,)
        """,
    )


def test_a_wrong_implementation_is_told() -> None:
    importing = "import django_async_fast._native"
    done = ended("-c", importing, DJANGO_ASYNC_FAST_IMPL="nonsense")
    assert done.returncode != 0
    assert "'nonsense' is neither 'native' nor 'python'" in done.stderr

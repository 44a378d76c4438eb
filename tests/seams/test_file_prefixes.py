"""Whoever looks for the line that called Django skips our files, as Django's own."""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
import pytest
from django.db import connection, transaction
from django.db.models import query
from django.utils import deprecation

from django_async_fast import new_connection, run_sync
from django_async_fast.seams.file_prefixes import OURS
from tests.testapp.models import Book, Tag

pytestmark = pytest.mark.skipif(
    not hasattr(deprecation, "django_file_prefixes"),
    reason="this Django does not look for the line that called",
)


def get() -> None:
    for _ in range(3):  # the first is compiled, later ones are known
        Tag.objects.get(name="a")


def rows() -> None:
    list(Tag.objects.all())


def stream() -> None:
    list(Tag.objects.iterator())


def raw() -> None:
    list(Tag.objects.raw("SELECT * FROM testapp_tag"))


def in_a_transaction() -> None:
    with transaction.atomic():
        pass
    with transaction.atomic(), transaction.atomic():
        pass


PROGRAMS = [get, rows, stream, raw, in_a_transaction]


# In a file of Django's: it looks for the line that called, and warns.
DJANGOS = """
import sys, warnings
from django.utils.deprecation import django_file_prefixes

def walk(execute, *args):
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(
        django_file_prefixes()
    ):
        frame = frame.f_back
    found.append("nobody" if frame is None else frame.f_code.co_filename)
    return execute(*args)

def warn(execute, *args):
    warnings.warn("asked", skip_file_prefixes=django_file_prefixes())
    return execute(*args)
"""


def asked_at_each_query(how: str, program: Callable[[], None]) -> list[str]:
    """Return the files that are said to have called Django."""
    file = Path(django.__file__).with_name("asked.py")
    found: list[str] = []
    values: dict[str, Any] = {"found": found}
    exec(compile(DJANGOS, file, "exec"), values)
    with (
        warnings.catch_warnings(record=True, action="always") as warned,
        connection.execute_wrapper(values[how]),
    ):
        program()
    return found + [each.filename for each in warned]


WAYS = [
    "walk",
    pytest.param(
        "warn",
        marks=pytest.mark.skipif(
            sys.version_info < (3, 12), reason="warnings skip no files yet"
        ),
    ),
]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("program", PROGRAMS)
async def test_the_caller_is_found_in_a_block(
    program: Callable[[], None], how: str
) -> None:
    async with new_connection(force_rollback=True):
        await Tag.objects.acreate(name="a")
        assert {*await run_sync(asked_at_each_query, how, program)} == {__file__}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_caller_is_found_in_synchronous_code(
    program: Callable[[], None], how: str
) -> None:
    Tag.objects.create(name="a")
    assert {*asked_at_each_query(how, program)} == {__file__}


@pytest.mark.skipif(
    not hasattr(query, "warn_about_external_use"),
    reason="this Django takes select_related() without fields",
)
def test_a_method_that_is_deprecated_names_the_line_that_called_it() -> None:
    with warnings.catch_warnings(record=True, action="always") as warned:
        for _ in range(4):  # the first is compiled, later ones are known
            list(Book.objects.filter(title="a").select_related())
    assert [each.filename for each in warned] == [__file__] * 4


def test_modules_of_django_have_the_prefix_whenever_they_were_imported() -> None:
    importers = [
        module
        for name, module in sys.modules.items()
        if name.startswith("django.") and hasattr(module, "django_file_prefixes")
    ]
    assert len(importers) > 1
    for module in importers:
        assert OURS in module.django_file_prefixes(), module
    before = set(deprecation.django_file_prefixes()) - {OURS}
    assert before == {f"{Path(django.__file__).parent}{os.sep}"}

"""`manage.py export` and `manage.py import`."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_async_fast.copying import progress
from tests.testapp.models import Author, Book, Tag


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(*args: str, **options: Any) -> tuple[str, str]:
    out, err = io.StringIO(), Terminal()
    call_command(*args, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def books() -> None:
    author = Author.objects.create(name="a")
    for title, pages in (("x", 1), ("y", 2), ("z", 3)):
        Book.objects.create(title=title, pages=pages, author=author)


@pytest.mark.usefixtures("books")
def test_an_export_to_the_terminal() -> None:
    found, _ = run(
        "export",
        "testapp.Book",
        *("--fields", "title,author__name", "--order=-pages"),
        *("--filter", "pages__gte=2", "--filter", "author__name=a"),
    )
    assert found == "title,author__name\nz,a\ny,a\n"
    assert run("export", "testapp.Tag", "--no-header")[0] == ""


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize("format", ["csv", "text", "binary"])
def test_there_and_back(tmp_path: Path, format: str) -> None:
    path = str(tmp_path / "books")
    before = [*Book.objects.order_by("pk").values_list()]
    said, shown = run("export", "testapp.Book", path, "--format", format)
    assert said == f"3 books in {path}\n"
    assert "3/3" in shown
    Book.objects.all().delete()
    said, shown = run("import", "testapp.Book", path, "--format", format)
    assert said == "3 books inserted\n"
    assert "books" in shown
    assert [*Book.objects.order_by("pk").values_list()] == before


def test_an_import_with_names_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("Name\na\n")
    run("import", "testapp.Tag", str(path), "--map", "Name=name", database="default")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"b\n")))
    run("import", "testapp.Tag", "--no-header", "--fields", "name", verbosity=0)
    assert {*Tag.objects.values_list("name", flat=True)} == {"a", "b"}


def test_errors_are_a_commands(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("id,name\n1,a\nx,b\n")
    for args, message in (
        (("import", "testapp.Tag", str(path)), "line 3, field 'id': invalid input"),
        (("import", "testapp.Tag", str(path / "none")), "Not a directory"),
        (("import", "testapp.Nothing", "x"), "Nothing"),
        (("export", "testapp.Tag", "--filter", "name"), "NAME=VALUE"),
        (("export", "testapp.Tag", "--fields", "nothing"), "nothing"),
    ):
        with pytest.raises(CommandError, match=message):
            run(*args)
    assert Tag.objects.count() == 0


def test_without_rich_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HAS_RICH", False)
    assert run("export", "testapp.Tag") == ("id,name\n", "")

"""The public names: what type checkers are told is what is imported."""

import ast
from pathlib import Path

import pytest

import django_async_fast
from django_async_fast import AsyncCursor, BlockWrapper, new_connection

PACKAGE = Path(django_async_fast.__file__).parent


def told_to_type_checkers() -> dict[str, str]:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text())
    return {
        name.asname or "": each.module or ""
        for each in tree.body
        if isinstance(each, ast.ImportFrom)
        for name in each.names
    }


def test_type_checkers_are_told_every_public_name() -> None:
    assert told_to_type_checkers() == {
        "__version__": "_version",
        **django_async_fast._PUBLIC,
    }


def test_the_package_says_that_it_has_types() -> None:
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize("alias", ["default", "pooled"])
async def test_a_connection_and_its_cursor_are_what_their_types_say(alias: str) -> None:
    async with new_connection(alias) as conn:
        assert isinstance(conn, BlockWrapper)
        async with conn.acursor() as cursor:
            assert isinstance(cursor, AsyncCursor)
            await cursor.execute("SELECT 1 AS number")
            assert cursor.rowcount == 1
            assert cursor.description is not None
            assert cursor.description[0][0] == "number"

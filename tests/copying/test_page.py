"""What the examples of docs/copying.md leave behind, run as one program in a block."""

import ast
import re
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from django_async_fast import new_connection
from tests.testapp import models

PAGE = Path(__file__).parents[2] / "docs" / "copying.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def compiled(example: str) -> CodeType:
    code: Any = compile(
        example, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    return code


async def test_the_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {**vars(models)}
    async with new_connection():
        names["author"] = await models.Author.objects.acreate(name="Jane")
        await models.Book.objects.acreate(title="first", author=names["author"])
        for example in EXAMPLES:
            if (coroutine := eval(compiled(example), names)) is not None:
                await coroutine
        response = await names["books_as_csv"](None)
        pieces = [piece async for piece in response]
        assert pieces[0] == b"title,author__name\n"
        assert await models.Book.objects.acount() == 1_004
    assert len(EXAMPLES) >= 5
    assert (tmp_path / "books.csv").read_bytes().startswith(b"id,title,")

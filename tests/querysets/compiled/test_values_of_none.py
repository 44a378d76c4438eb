"""Values of a list that become None, and deletes of rows that were to be locked."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.testapp.models import Author, Book, Everything, Reading

pytestmark = pytest.mark.core


@pytest.mark.parametrize("first", [["True"], ["", "True"]])
def test_null_is_excluded_as_by_the_values_of_each_call(first: list[str]) -> None:
    Everything.objects.bulk_create(
        Everything(boolean=value) for value in (None, None, True, False)
    )
    want = {
        tuple(values): sorted(
            Everything.objects.exclude(boolean__in=list(values))
            .extra(where=["true"])  # nothing is learnt of it
            .values_list("boolean", flat=True),
            key=str,
        )
        for values in (("True",), ("", "True"))
    }
    other = ["", "True"] if first == ["True"] else ["True"]
    for values in (first, first, first, other, first):
        found = Everything.objects.exclude(boolean__in=values)
        rows = sorted(found.values_list("boolean", flat=True), key=str)
        assert rows == want[tuple(values)]
        assert found.count() == len(rows)


def test_a_delete_of_locked_rows_locks_none() -> None:
    for i in range(4):
        author = Author.objects.create(name=str(i))
        book = Book.objects.create(author=author, title="x", pages=1)
        Reading.objects.create(book=book, reader=author)
        rows = Reading.objects.select_for_update()
        with CaptureQueriesContext(connection) as queries:
            rows.filter(book__title=book.title, book__pages=1).delete()
        sent = " ".join(query["sql"] for query in queries)
        assert "DELETE" in sent
        assert "FOR UPDATE" not in sent

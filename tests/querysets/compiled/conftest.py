"""What tests of compiled querysets share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.test.utils import isolate_apps


@pytest.fixture
def books() -> Any:
    """Thirty books that nothing is known of; the authors."""
    from .reading_books import fill  # Django is not set up when this is imported

    return fill()


@pytest.fixture
def written() -> None:
    """A row of each kind that the writes of writing.py name."""
    from .writing import fill

    fill()


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """Make a model that has a table for this test, by its name and fields."""
    with isolate_apps("tests.testapp"), transaction.atomic():

        def make(name: str, /, *, ordering: Any = (), **body: Any) -> Any:
            meta = {"app_label": "testapp", "db_table": f"made_{name.lower()}"}
            body["Meta"] = type("Meta", (), {**meta, "ordering": ordering})
            made = type(name, (models.Model,), {"__module__": __name__, **body})
            with connection.schema_editor() as editor:
                editor.create_model(made)
            return made

        yield make
        transaction.set_rollback(True)

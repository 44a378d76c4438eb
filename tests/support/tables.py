"""Tables of models that a test makes, and where keys go on."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model

from .sql import execute


class Isolated(Model):
    """The base of a test's own models, which are made in `isolate_apps()`."""

    class Meta:
        abstract = True
        app_label = "testapp"


@contextmanager
def table_of(
    *models: type[Model], using: str = DEFAULT_DB_ALIAS, atomic: bool = True
) -> Iterator[None]:
    """Have the tables of these models; a later one may refer to one before."""
    with connections[using].schema_editor(atomic=atomic) as editor:
        for model in models:
            editor.create_model(model)
    try:
        yield
    finally:
        with connections[using].schema_editor(atomic=atomic) as editor:
            for model in reversed(models):
                editor.delete_model(model)


def restart_sequences() -> None:
    """Let keys count alike from here: a savepoint does not undo what was drawn."""
    execute(
        "SELECT setval(oid, 1000) FROM pg_class WHERE relkind = 'S' "
        "AND (relname LIKE 'testapp%' OR relname LIKE 'auth_user%')"
    )

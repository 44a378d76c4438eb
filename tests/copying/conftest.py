"""What tests of copying share."""

import pytest


@pytest.fixture
def _two_rows_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    from django_async_fast.copying import load  # when Django has been set up

    monkeypatch.setattr(load, "BATCH", 2)

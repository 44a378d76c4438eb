"""Which models the core fills, and which Django's own code makes."""

from collections import defaultdict
from collections.abc import Iterator

from django.apps import apps

from ..querysets.plans.explain import explain_plan
from ..querysets.plans.row_plan import why_from_db
from .findings import Finding, listed, note, ok


def findings() -> Iterator[Finding]:
    """Yield how many models are filled directly, and why others are not."""
    slower: dict[str, list[str]] = defaultdict(list)
    models = [each for each in apps.get_models() if each._meta.managed]
    for model in models:
        if reason := why_from_db(model):
            slower[f"made by from_db(): {reason}"].append(model._meta.label)
            continue
        plan = explain_plan(model._base_manager.all())
        if plan.why_django:
            slower[f"built by Django: {plan.why_django}"].append(model._meta.label)
    direct = len(models) - sum(map(len, slower.values()))
    yield ok(f"{direct} of {len(models)} models: instances filled directly by the core")
    for reason, labels in sorted(slower.items()):
        yield note(
            f"{listed(labels)}: {reason}",
            "correct, and slower; explain_plan(queryset) tells of a query",
        )

"""Asynchronous methods and their twins agree on models that nobody has thought of.

Three times each: as Django's own iterables build the rows, as the core does, and in a
block. Tables are made, filled and dropped in a transaction that is undone.
"""

import inspect
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.db.models import Count, Max, Model, QuerySet
from hypothesis import Phase, given, settings

from django_async_fast import new_connection, run_sync
from tests.support.describe import Queries, described
from tests.support.generated_models import Generated, generated

# Method -> its arguments, as in the catalogue. All are of the queryset.
CALLS: dict[str, Callable[[Any, Generated], Any]] = {
    "__aiter__": lambda call, g: call(),
    "aaggregate": lambda call, g: call(n=Count("pk"), top=Max(g.ordered)),
    "abulk_create": lambda call, g: call([g.model(**g.new)]),
    "abulk_update": lambda call, g: call(g.objects()[:1], [g.ordered]),
    "acontains": lambda call, g: call(g.objects()[0]),
    "acount": lambda call, g: call(),
    "acreate": lambda call, g: call(**g.new),
    "adelete": lambda call, g: call(),
    "aearliest": lambda call, g: call(g.ordered, "pk"),
    "aexists": lambda call, g: call(),
    "afirst": lambda call, g: call(),
    "aget": lambda call, g: call(pk=g.objects()[0].pk),
    "aget_or_create": lambda call, g: call(**g.new),
    "ain_bulk": lambda call, g: call([g.objects()[0].pk]),
    "aiterator": lambda call, g: call(chunk_size=2),
    "alast": lambda call, g: call(),
    "alatest": lambda call, g: call(g.ordered, "pk"),
    "aupdate": lambda call, g: call(**{g.ordered: g.new[g.ordered]}),
    "aupdate_or_create": lambda call, g: call(
        pk=g.objects()[0].pk, defaults={g.ordered: g.new[g.ordered]}
    ),
}
INSTANCE_CALLS = ("adelete", "arefresh_from_db", "asave")
# Its answer depends on the statistics of the table.
LEFT_OUT = {"aexplain"}

SHAPES: dict[str, Callable[[Any, Generated], Any]] = {
    "instances": lambda qs, g: qs,
    "deferred": lambda qs, g: qs.defer(g.ordered),
    "values": lambda qs, g: qs.values(),
    "values_list": lambda qs, g: qs.values_list("pk", g.ordered),
    "flat": lambda qs, g: qs.values_list(g.ordered, flat=True),
}


def asynchronous(owner: type[Any]) -> set[str]:
    return {
        name
        for name, found in inspect.getmembers(owner, inspect.isfunction)
        if name.startswith("a") and not name.startswith("as_")
        if inspect.iscoroutinefunction(found) or name == "aiterator"
    }


def test_every_method_is_called() -> None:
    assert asynchronous(QuerySet) == set(CALLS) - {"__aiter__"} | LEFT_OUT
    assert asynchronous(Model) == set(INSTANCE_CALLS)


def begin(g: Generated) -> None:
    with connection.schema_editor(atomic=False) as editor:
        editor.create_model(g.model)
    g.model._base_manager.bulk_create(g.objects())


def targets(g: Generated) -> list[tuple[str, Callable[[], Any]]]:
    """Return each method with what makes the object that it is called on."""
    found: list[tuple[str, Callable[[], Any]]] = []
    for shape in SHAPES.values():
        names = CALLS if shape is SHAPES["instances"] else ("__aiter__", "aiterator")
        queryset = shape(g.model._base_manager.order_by("pk"), g)
        found += [(name, queryset.all) for name in names]
    return [*found, *((name, lambda: g.objects()[0]) for name in INSTANCE_CALLS)]


def arguments(name: str, target: Any, g: Generated) -> Any:
    if isinstance(target, Model):
        return (), {}
    return CALLS[name](lambda *args, **named: (args, named), g)


def outcome(target: Any, result: Any, queries: Queries) -> Any:
    found = described(result.args if isinstance(result, Exception) else result)
    return type(result), found, described(target), list(queries)


def synchronously(g: Generated) -> list[Any]:
    found = []
    with transaction.atomic():
        begin(g)
        for name, make in targets(g):
            with transaction.atomic(), connection.execute_wrapper(queries := Queries()):
                target = make()
                found.append((name, outcome(target, twin(name, target, g), queries)))
                transaction.set_rollback(True)
        transaction.set_rollback(True)
    return found


def twin(name: str, target: Any, g: Generated) -> Any:
    args, named = arguments(name, target, g)
    try:
        if "iter" in name:
            rows = getattr(target, name.replace("__a", "__").lstrip("a"))
            return list(rows(*args, **named))
        return getattr(target, name[1:])(*args, **named)
    except Exception as exc:
        return exc


async def in_a_block(g: Generated) -> list[Any]:
    found = []
    async with new_connection() as conn, transaction.atomic():
        await run_sync(begin, g)
        for name, make in targets(g):
            async with transaction.atomic():
                with conn.execute_wrapper(queries := Queries()):
                    target = make()
                    result = await awaited(name, target, g)
                    found.append((name, outcome(target, result, queries)))
                transaction.set_rollback(True)
        transaction.set_rollback(True)
    return found


async def awaited(name: str, target: Any, g: Generated) -> Any:
    args, named = arguments(name, target, g)
    try:
        if "iter" in name:
            return [row async for row in getattr(target, name)(*args, **named)]
        return await getattr(target, name)(*args, **named)
    except Exception as exc:
        return exc


@settings(max_examples=25, phases=[Phase.generate, Phase.shrink], derandomize=True)
@given(g=generated())
def test_generated_models(g: Generated, without_core: Any) -> None:
    with without_core():
        expected = synchronously(g)
    assert synchronously(g) == expected
    assert async_to_sync(in_a_block)(g) == expected

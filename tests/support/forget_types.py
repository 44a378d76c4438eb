"""Column types, as if nobody had read anything yet."""

from django_async_fast.querysets.compiled import tree
from django_async_fast.querysets.plans import plan_cache, result_format


def forget_types() -> None:
    result_format._seen.clear()
    plan_cache._plain.clear()  # plans know the types of their columns
    tree.clear()  # statements have plans

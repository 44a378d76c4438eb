"""pytest-benchmark fixtures that compare stock Django with this package, and a page.

In a project's conftest.py: `pytest_plugins = ["django_async_fast.benchmark"]`. Then
`pytest --benchmark-only --benchmark-autosave` measures, and
`python -m django_async_fast.benchmark` shows what was saved.
"""

from .fixtures import (
    bench_queryset,
    bench_request,
    pytest_benchmark_update_machine_info,
    pytest_terminal_summary,
)

__all__ = [
    "bench_queryset",
    "bench_request",
    "pytest_benchmark_update_machine_info",
    "pytest_terminal_summary",
]

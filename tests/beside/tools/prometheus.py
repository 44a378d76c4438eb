"""django-prometheus: its ENGINE counts connections, statements and errors."""

from typing import Any

from tests.beside.tool import Tool


class Prometheus(Tool):
    package = "django_prometheus"
    engine = "django_prometheus.db.backends.postgresql"
    apps = ["django_prometheus"]

    def seen(self) -> Any:
        from prometheus_client import REGISTRY

        return sorted(
            [sample.name, sorted(sample.labels.items()), sample.value]
            for metric in REGISTRY.collect()
            if metric.name.startswith("django_db")
            for sample in metric.samples
            if sample.name.endswith(("_total", "_count"))
        )

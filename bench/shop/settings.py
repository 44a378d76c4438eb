"""Django's settings, for each kind of Django: each has a process of its own."""

from typing import Any

from tools.postgres import django_database


def configure(
    dsn: str,
    pool_size: int,
    *apps: str,
    engine: str = "postgresql",
    pooled_default: bool = False,
    **more: Any,
) -> None:
    import django
    from django.conf import settings

    if "." not in engine:
        engine = f"django.db.backends.{engine}"
    pool = {"min_size": pool_size, "max_size": pool_size, "timeout": 60}
    one = django_database(dsn, CONN_MAX_AGE=None)
    pooled = django_database(dsn, OPTIONS={"pool": pool})
    settings.configure(
        DATABASES={
            "default": (pooled if pooled_default else one) | {"ENGINE": engine},
            "pooled": pooled | {"ENGINE": engine},
        },
        INSTALLED_APPS=["bench.shop", *apps],
        SECRET_KEY="not one",
        TIME_ZONE="UTC",
        USE_TZ=True,
        **more,
    )
    django.setup()

"""django-tenants: each tenant's tables are in a schema of its own."""

from typing import Any

from tests.beside import library
from tests.beside.tool import Tool
from tests.beside.ways import Way
from tests.support.sql import execute

NAMES = ("one", "two")
BOTH = ["django.contrib.contenttypes", "django.contrib.auth"]
SHARED = ["django_tenants", "tests.beside.tenancy", *BOTH]
OWN = [*BOTH, "tests.testapp"]


async def program(do: Any) -> None:
    from django.db import connection
    from django_tenants.utils import schema_context, tenant_context

    from tests.beside.tenancy.models import Tenant

    tenants = await do(Tenant.objects.order_by("pk"), "iterate")
    for tenant in tenants:
        async with do.within(schema_context, tenant.schema_name):
            await reading(do)
    for tenant in reversed(tenants):
        async with do.within(tenant_context, tenant):
            await do(lambda: connection.schema_name)
            await library.program(do)
            async with do.atomic(), do.within(schema_context, "two"):
                await reading(do)
            await reading(do)
    await reading(do)


async def reading(do: Any) -> None:
    from tests.testapp.models import Author

    await do(lambda: execute("SELECT current_schema()"))
    await do(Author.objects, "count")
    await do(Author.objects, "get", name="Ada")
    await do(Author.objects, "get", name="one's")
    await do(Author.objects.order_by("pk"), "iterate")
    await do(Author.objects.order_by("pk"), "stream", chunk_size=2)


class Tenants(Tool):
    """A program that goes from schema to schema: what it finds is what counts."""

    package = "django_tenants"
    engine = "django_tenants.postgresql_backend"
    apps = SHARED[:2]
    settings = {
        "SHARED_APPS": SHARED,
        "TENANT_APPS": OWN,
        "TENANT_MODEL": "tenancy.Tenant",
        "TENANT_DOMAIN_MODEL": "tenancy.Domain",
        "DATABASE_ROUTERS": ["django_tenants.routers.TenantSyncRouter"],
    }
    program = staticmethod(program)

    def prepare(self) -> None:
        from django.core.management import call_command
        from django_tenants.utils import tenant_context

        from tests.beside.tenancy.models import Domain, Tenant
        from tests.testapp.models import Author

        migrate = {"run_syncdb": True, "interactive": False, "verbosity": 0}
        call_command("migrate_schemas", schema_name="public", **migrate)
        for name in NAMES:
            tenant = Tenant.objects.create(schema_name=name, name=name)
            Domain.objects.create(domain=f"{name}.test", tenant=tenant)
            execute(f"CREATE SCHEMA {name}")
            call_command("migrate_schemas", schema_name=name, **migrate)
            with tenant_context(tenant):
                Author.objects.create(name=f"{name}'s")
                library.fill()

    def seen(self) -> Any:
        return "results"


async def only_its_own(do: Any) -> None:
    from django.db import connection

    # Others have their turn between these.
    for _ in range(2):
        await do(lambda: connection.schema_name)
        await reading(do)


class TenantsInRequests(Tenants):
    """Requests of both tenants at once: each sees its own schema only."""

    in_a_request = True

    middleware = ["django_tenants.middleware.main.TenantMainMiddleware"]

    def run(self, way: Way) -> Any:
        from tests.beside.served import requests

        hosts = [f"{name}.test" for name in NAMES] * 100
        return requests(way, only_its_own, hosts, at_once=20)

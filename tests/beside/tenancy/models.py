"""Who has a schema, and by which name of a host it is found."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):
    name = models.CharField(max_length=20)
    auto_create_schema = False


class Domain(DomainMixin):
    pass

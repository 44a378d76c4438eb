"""The tags that have been committed."""

from django_async_fast import new_connection
from tests.testapp.models import Tag


async def tags() -> list[str]:
    """Return their names, as another connection sees them."""
    async with new_connection():
        return [tag.name async for tag in Tag.objects.order_by("name")]

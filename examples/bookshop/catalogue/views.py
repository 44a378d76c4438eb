"""One page, as it is written today and with django-async-fast."""

from django.db import transaction
from django.db.models import Avg
from django.http import Http404, HttpRequest, JsonResponse

from django_async_fast import new_connection

from .models import Author


async def author_before(request: HttpRequest, author_id: int) -> JsonResponse:
    """Each query hops to a thread and back; atomic() is not to be had."""
    return await _author(request, author_id)


async def author_after(request: HttpRequest, author_id: int) -> JsonResponse:
    """The same code: all of it on the event loop, in one transaction."""
    async with new_connection(), transaction.atomic():
        return await _author(request, author_id)


async def _author(request: HttpRequest, author_id: int) -> JsonResponse:
    user = await request.auser()
    try:
        author = await Author.objects.aget(pk=author_id)
    except Author.DoesNotExist:
        raise Http404 from None
    books = author.books.filter(in_print=True).order_by("-published")
    return JsonResponse(
        {
            "reader": user.get_username(),
            "author": author.name,
            "rating": (await books.aaggregate(mean=Avg("rating")))["mean"],
            "newest": [book.title async for book in books[:10]],
        }
    )

"""Synchronous and asynchronous views, side by side: neither of them has a thread."""

from collections.abc import AsyncIterator

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import aget_object_or_404, redirect, render

from django_async_fast import alist, transaction

from .forms import BookForm
from .models import Author, Book


def shelf(request: HttpRequest) -> HttpResponse:
    """A synchronous view as ever: a form, a template, a lazy relation in it."""
    form = BookForm(request.POST or None)
    if form.is_valid():
        form.save()
        return redirect("shelf")
    books = Book.objects.select_related("author")
    return render(request, "books/shelf.html", {"books": books, "form": form})


async def author(request: HttpRequest, author_id: int) -> HttpResponse:
    """An asynchronous view: two queries in one transaction."""
    async with transaction.atomic():
        found = await aget_object_or_404(Author, pk=author_id)
        titles = await alist(found.books.values_list("title", flat=True))
    return JsonResponse({"name": found.name, "titles": titles})


async def export(request: HttpRequest) -> StreamingHttpResponse:
    """A stream: a chunk of rows in memory, the next one on its way."""

    async def lines() -> AsyncIterator[str]:
        books = Book.objects.select_related("author")
        async for book in books.aiterator(chunk_size=2000):
            yield f"{book.title};{book.author.name};{book.pages}\n"

    return StreamingHttpResponse(lines(), content_type="text/csv")

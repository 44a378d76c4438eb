"""A model with a relation, a manager of its own and a queryset of its own.

django-stubs finds the types of fields in a plugin of mypy's; pyright has to be told.
"""

from __future__ import annotations

from django.db import models


class Author(models.Model):
    name: models.CharField[str, str] = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class BookQuerySet(models.QuerySet["Book"]):
    def long(self) -> BookQuerySet:
        return self.filter(pages__gte=300)


class Book(models.Model):
    title: models.CharField[str, str] = models.CharField(max_length=200)
    pages: models.IntegerField[int, int] = models.IntegerField(default=0)
    author: models.ForeignKey[Author, Author] = models.ForeignKey(
        Author, models.CASCADE, related_name="books"
    )

    objects = BookQuerySet.as_manager()

    def __str__(self) -> str:
        return self.title

"""Models for every corner of the ORM's async API, and every path of the core."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.models import User
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=100)
    mentor = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="students"
    )

    def __str__(self) -> str:
        return self.name


class Profile(models.Model):
    author = models.OneToOneField(Author, models.CASCADE, related_name="profile")
    user = models.OneToOneField(User, models.CASCADE, null=True, related_name="profile")
    bio = models.TextField(default="")


class Publisher(models.Model):
    name = models.CharField(max_length=100, unique=True)


class Tag(models.Model):
    name = models.SlugField(unique=True)


class Note(models.Model):
    """About anything, through contenttypes."""

    text = models.TextField()
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.BigIntegerField()
    about = GenericForeignKey()


class BookQuerySet(models.QuerySet["Book"]):
    def long(self) -> BookQuerySet:
        return self.filter(pages__gte=300)


class PublishedManager(models.Manager["Book"]):
    def get_queryset(self) -> models.QuerySet[Book]:
        return super().get_queryset().filter(in_print=True)


class Book(models.Model):
    title = models.CharField(max_length=200)
    pages = models.IntegerField(default=0)
    price = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    in_print = models.BooleanField(default=True)
    published = models.DateField(null=True, blank=True)
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    publisher = models.ForeignKey(
        Publisher, models.SET_NULL, null=True, blank=True, related_name="books"
    )
    tags = models.ManyToManyField(Tag, blank=True, related_name="books")
    readers = models.ManyToManyField(Author, through="Reading", related_name="reads")
    notes = GenericRelation(Note)

    objects = BookQuerySet.as_manager()
    in_shops = PublishedManager()

    class Meta:
        get_latest_by = "published"

    def __str__(self) -> str:
        return self.title


class Reading(models.Model):
    book = models.ForeignKey(Book, models.CASCADE)
    reader = models.ForeignKey(Author, models.CASCADE)
    stars = models.PositiveSmallIntegerField(default=0)


class Novel(Book):
    """Multi-table inheritance."""

    genre = models.CharField(max_length=50, default="")


class Bestseller(Book):
    class Meta:
        proxy = True
        ordering = ["-pages"]


class ArrayColumns(models.Model):
    """A nullable column of each type that Django inserts by UNNEST."""

    small = models.SmallIntegerField(null=True)
    integer = models.IntegerField(null=True)
    big = models.BigIntegerField(null=True)
    positive = models.PositiveBigIntegerField(null=True)
    char = models.CharField(max_length=100, null=True)
    text = models.TextField(null=True)
    slug = models.SlugField(null=True)
    email = models.EmailField(null=True)
    url = models.URLField(null=True)
    boolean = models.BooleanField(null=True)
    decimal = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    float = models.FloatField(null=True)
    datetime = models.DateTimeField(null=True)
    date = models.DateField(null=True)
    time = models.TimeField(null=True)
    duration = models.DurationField(null=True)
    uuid = models.UUIDField(null=True)
    json = models.JSONField(null=True)
    inet = models.GenericIPAddressField(null=True)
    file = models.FileField(upload_to="files", null=True)

    class Meta:
        abstract = True


class Wide(ArrayColumns):
    """Many of it are inserted by UNNEST."""


class Everything(ArrayColumns):
    """A nullable column of each type that needs no extension of PostgreSQL."""

    binary = models.BinaryField(null=True)


class UuidKey(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=50, default="")


class CharKey(models.Model):
    code = models.CharField(max_length=20, primary_key=True)


class CountsSaves(models.Model):
    """save() and delete() of the user's own must run for asave() and adelete()."""

    name = models.CharField(max_length=50, default="")
    saves = models.IntegerField(default=0)
    deleted: list[int | None] = []

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.saves += 1
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        CountsSaves.deleted.append(self.pk)
        return super().delete(*args, **kwargs)


class OwnFromDb(models.Model):
    """Remembers what was loaded, as Django's documentation shows."""

    name = models.CharField(max_length=50)
    size = models.IntegerField(default=0)

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> OwnFromDb:
        instance = super().from_db(*args, **kwargs)
        instance.loaded = dict(instance.__dict__)
        return instance


class OwnInit(models.Model):
    name = models.CharField(max_length=50)
    size = models.IntegerField(default=0)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shouted = self.name.upper()


class Unique(models.Model):
    """For IntegrityError, get_or_create, update_or_create and bulk upserts."""

    key = models.CharField(max_length=50, unique=True)
    value = models.IntegerField(default=0)

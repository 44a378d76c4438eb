"""Fifty books with what belongs to them, for querysets of every kind."""

from django.contrib.contenttypes.models import ContentType

from tests.testapp import models

from .bulk.values import FULL

ROWS = 50


def fill() -> None:
    authors = [models.Author.objects.create(name=f"a{i}") for i in range(5)]
    authors[1].mentor = authors[0]
    authors[1].save()
    models.Profile.objects.create(author=authors[0], bio="first")
    houses = [models.Publisher.objects.create(name=f"p{i}") for i in range(3)]
    tags = [models.Tag.objects.create(name=f"t{i}") for i in range(3)]
    for i in range(ROWS):
        book = models.Book.objects.create(
            title=f"b{i} é",
            pages=i * 10,
            price=f"{i}.50",
            in_print=i % 3 != 0,
            published="2020-02-29" if i % 2 else None,
            author=authors[i % 5],
            publisher=houses[i % 3] if i % 4 else None,
        )
        book.tags.set(tags[: i % 4])
    models.Novel.objects.create(title="novel", author=authors[0], genre="crime")
    kind = ContentType.objects.get_for_model(models.Book)
    models.Note.objects.create(text="n", content_type=kind, object_id=book.pk)
    models.OwnFromDb.objects.create(name="x", size=3)
    models.OwnInit.objects.create(name="x", size=3)
    models.UuidKey.objects.create(name="u")
    models.Everything.objects.create()
    precise = FULL["datetime"].replace(microsecond=678_901)
    full = FULL | {"datetime": precise, "inet": "2001:db8::1", "binary": b"\0\1"}
    models.Everything.objects.create(**full)

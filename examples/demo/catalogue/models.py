from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Book(models.Model):
    """Ten columns, of the types that most tables are made of."""

    title = models.CharField(max_length=200)
    blurb = models.TextField()
    pages = models.IntegerField()
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    in_print = models.BooleanField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    rating = models.FloatField()
    added = models.DateTimeField()
    published = models.DateField()

    def __str__(self) -> str:
        return self.title

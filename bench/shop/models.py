from django.db import models


class Named(models.Model):
    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=100)

    class Meta:
        abstract = True


class City(Named):
    country = models.CharField(max_length=2)

    class Meta:
        db_table = "bench_city"
        managed = False


class Company(Named):
    rating = models.IntegerField()
    city = models.ForeignKey(City, models.CASCADE)

    class Meta:
        db_table = "bench_company"
        managed = False


class PersonColumns(Named):
    email = models.TextField()
    age = models.IntegerField()
    company = models.ForeignKey(Company, models.CASCADE)
    active = models.BooleanField()
    balance = models.DecimalField(max_digits=10, decimal_places=2)
    score = models.FloatField()
    created = models.DateTimeField()
    born = models.DateField()

    class Meta:
        abstract = True


class Person(PersonColumns):
    class Meta:
        db_table = "bench_person"
        managed = False


class Written(PersonColumns):
    """What is written to in bulk."""

    class Meta:
        db_table = "bench_written"
        managed = False


class Visit(models.Model):
    id = models.BigAutoField(primary_key=True)
    company = models.ForeignKey(Company, models.CASCADE)
    title = models.CharField(max_length=100)
    count = models.IntegerField(default=0)
    made = models.DateTimeField()

    class Meta:
        db_table = "bench_visit"
        managed = False

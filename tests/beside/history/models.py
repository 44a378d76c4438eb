"""A model whose rows' changes are events of django-pghistory's."""

import pghistory
from django.db import models


@pghistory.track()
class Account(models.Model):
    owner = models.CharField(max_length=20, unique=True)
    balance = models.IntegerField(default=0)

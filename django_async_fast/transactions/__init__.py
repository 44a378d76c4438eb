"""`atomic()` and the functions of `django.db.transaction` for coroutines."""

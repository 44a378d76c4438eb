"""Rows, instances and values out of Django's querysets, by the compiled core."""

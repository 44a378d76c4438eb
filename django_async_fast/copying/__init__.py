"""COPY: rows out of a queryset, and into a model's table, at the speed of the wire."""

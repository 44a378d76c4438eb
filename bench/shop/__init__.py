"""The Django app of the benchmarks: the same models for every kind of Django."""

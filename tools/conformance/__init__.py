"""Django's own test suite, unmodified, over this package.

    python -m tools.conformance --mode bridge --parallel 2 queries basic

`cluster.py` makes a throw-away PostgreSQL, `inside.py` runs Django's `runtests.py` in
one of the modes, and `__main__.py` shares the labels out, sums up and compares.
"""

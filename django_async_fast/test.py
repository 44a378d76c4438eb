"""Django's test cases for tests that are coroutines; see `testing/cases.py`."""

from .testing.cases import TestCase, TransactionTestCase
from .testing.shared_connection import shared_connection

__all__ = ["TestCase", "TransactionTestCase", "shared_connection"]

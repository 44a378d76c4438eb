"""`atomic` with characteristics of the transaction; see `transactions/atomic.py`."""

from .transactions.atomic import ADDED, atomic

__all__ = ["ADDED", "atomic"]

"""The states of a transaction, as libpq tells them without asking the server."""

from psycopg import pq

IDLE = pq.TransactionStatus.IDLE
ACTIVE = pq.TransactionStatus.ACTIVE
INTRANS = pq.TransactionStatus.INTRANS
INERROR = pq.TransactionStatus.INERROR
IN_TRANSACTION = (INTRANS, INERROR)

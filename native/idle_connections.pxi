# An idle connection of psycopg's pool, taken and given back without the loop.
#
# In: psycopg's pool. Out: an idle connection of it, or None where one has to wait.
# Next: `drivers/psycopg/statement.py`.

from time import monotonic

cdef int INFO = 20  # logging.INFO
cdef int ROTATION = 16


@cython.final
cdef class IdleConnections:
    """What `getconn()` and `putconn()` do where they have nothing to wait for.

    Only in the releases that it was read in, which `names["KNOWN_RELEASE"]` tells;
    `logger` is psycopg's, `client` the class of those who wait in its line for us. What
    pools and connections have of their own is not looked up in their classes first,
    which costs four times as much.
    """

    def __init__(self, *, dict names, logger, client):
        self.names = names
        self.logger = logger
        self.client = client

    cpdef bint is_quiet(self, pool) except -1:
        """Tell whether nobody is in the middle of something, and nobody listens."""
        cdef dict own = <dict> PyObject_GenericGetDict(pool, NULL)
        return (
            self.names["KNOWN_RELEASE"]
            and not own["_closed"]
            and not own["_lock"].locked()
            and not self.logger.isEnabledFor(INFO)
        )

    def take(self, pool):
        """Return a connection as `pool.getconn()` does, or None where that may wait.

        Most often the one that has come back last: what is known of it, here and in
        its server process, is in the processor's cache. Each `ROTATION`th time the one
        that has rested longest, lest a firewall forgets it.
        """
        cdef dict own = <dict> PyObject_GenericGetDict(pool, NULL)
        idle = own["_pool"]
        if not idle or own["_check"] or not self.is_quiet(pool):
            return None
        requests = own["_stats"][pool._REQUESTS_NUM] = (
            own["_stats"][pool._REQUESTS_NUM] + 1
        )
        session = idle.pop() if requests % ROTATION else idle.popleft()
        own["_nconns_min"] = min(own["_nconns_min"], len(idle))
        session._pool = pool
        return session

    def give(self, pool, session):
        """Take `session` back as `pool.putconn()` does; False where that may wait.

        The first in line gets it at once, unless that is psycopg's own client.
        """
        cdef dict own = <dict> PyObject_GenericGetDict(pool, NULL)
        cdef dict its = <dict> PyObject_GenericGetDict(session, NULL)
        if own["_reset"] or own["_pool_full_event"] or not self.is_quiet(pool):
            return False
        if its["pgconn"].transaction_status != 0 or its["_pool"] is not pool:
            return False  # PQTRANS_IDLE
        if its["_created_at"] <= own["_drained_at"] or its["_expire_at"] <= monotonic():
            return False
        waiting = own["_waiting"]
        while waiting:
            if type(waiting[0]) is not self.client:
                return False
            if waiting.popleft().serve(session):
                break
        else:
            own["_pool"].append(session)
        its["_pool"] = None
        return True

# A statement whose values are sent beside its text, and which the server may prepare.
#
# In: a connection and the statement. Out: the result, in binary.
# Next: `round_trips.pxi`.

@cython.final
cdef class Bound:
    """A statement whose values are sent beside it.

    `query` and `types` are what psycopg knows a prepared statement by.
    """


cdef object INT4 = 23
cdef object INT4_LEAST = -(2**31)
cdef object INT4_MOST = 2**31 - 1
cdef object INT8 = 20
cdef object INT8_LEAST = -(2**63)
cdef object INT8_MOST = 2**63 - 1
cdef enum:
    MOST_VALUES = 65535  # the protocol counts them in two bytes


def bound_operation(Sender sender not None, raw, Bound bound not None, bint again=False):
    """Yield what psycopg waits for while it executes a query; return the result.

    psycopg's own manager tells whether the server is to prepare it first. What the
    server has forgotten is prepared `again` once: a pooler may forget it each time.
    """
    if not raw._autocommit:
        yield from raw._start_query()
    pgconn, manager = raw.pgconn, sender.manager_of(raw)
    if manager._to_flush:  # before one is prepared: it may be a DEALLOCATE ALL
        yield from manager.maintain_gen(raw)
    prepare, name = manager.get(bound)
    if prepare is sender.no_prepare:
        pgconn.send_query_params(
            bound.query, bound.values, bound.types, bound.formats, sender.result_format
        )
    else:
        if prepare is sender.should_prepare:
            pgconn.send_prepare(name, bound.query, bound.types)
            results = yield from sender.execute(pgconn)
            if len(results) != 1 or results[0].status != 1:
                return sender.more_results(raw, results)
        pgconn.send_query_prepared(
            name, bound.values, bound.formats, sender.result_format
        )
    key = manager.maybe_add_to_cache(bound, prepare, name)
    results = yield from sender.execute(pgconn)
    if key is not None:
        manager.validate(key, prepare, name, results)
    if len(results) == 1 and (results[0].status == 1 or results[0].status == 2):
        return results[0]
    if (
        not again
        and prepare is not sender.no_prepare
        and len(results) == 1
        and sender.forgotten(manager, bound, name, results[0])
        and pgconn.transaction_status == 0  # PQTRANS_IDLE
    ):
        # The server has refused to run it: nothing is sent twice.
        return (yield from bound_operation(sender, raw, bound, True))
    return sender.more_results(raw, results)

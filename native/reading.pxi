# The rows of one statement, in binary.
#
# In: a wrapper, the statement and the row plan. Out: a batch of its rows; None where a
# cursor is to read them.
# Next: `sending.pxi`, then `batches.pxi`.

@cython.final
cdef class Reader:
    """What reads the rows of a statement that `sender` sends.

    `decoders_of` returns a session's decoders, which were made with the `_loads` of
    `json_loader`; `converted` the batch of a result that comes for the first time;
    `failed` is told of an error; `takes_arrays` tells whether arrays may be sent in a
    session.
    """

    def __init__(
        self, Sender sender not None, *, decoders_of, json_loader, converted, failed,
        takes_arrays,
    ):
        self.sender = sender
        self.decoders_of = decoders_of
        self.json_loader = json_loader
        self.converted = converted
        self.failed = failed
        self.takes_arrays = takes_arrays

    cpdef object read(
        self, wrapper, Plan plan, types, Py_ssize_t columns, sql, params,
        bytes template, bint binds=False, list arrays=None,
    ):
        """Return the rows of a query as a batch, None where a cursor is to read them.

        `binds` tells that the values may be sent beside the text, where the connection
        is asked to prepare.
        """
        cdef Bound bound = None
        oids = types.oids
        if oids is None:
            return None
        binds = binds and template is not None and arrays is None
        raw = self.sender.open_connection(wrapper, binds)
        if raw is None:
            return None
        decoders = self.decoders(raw)
        # Django gives a cursor the wrapper's time zone where it is another.
        if decoders.zone != wrapper.timezone:
            return None
        if (
            oids not in <dict?> decoders.readable
            or raw.pgconn.parameter_status(CLIENT_ENCODING) != UTF8
        ) and not decoders.reads_binary(raw, oids):
            return None
        if arrays is not None and not self.takes_arrays(raw):
            return None
        if binds:
            bound = self.sender.bound(raw, template, params)
            if bound is None and raw.cursor_factory is self.sender.binding_cursor:
                return None
        try:
            result = self.sender.send(
                wrapper, raw, sql, params, template, bound, arrays
            )
            if result.status != 2:
                self.failed(wrapper, types, None)
        except BaseException as error:
            # Whoever has the error has the wrapper, in its frames.
            self.failed(wrapper, types, error)
            raise
        return self.batch_of(wrapper, raw, decoders, plan, types, columns, result)

    cdef Batch batch_of(
        self, wrapper, raw, decoders, Plan plan, types, Py_ssize_t columns, result
    ):
        """The rows of a result."""
        batch = self.known_batch(raw, decoders, plan, types, result)
        if batch is not None:
            return batch
        return self.converted(wrapper, raw, decoders, plan, types, columns, result)

    cdef Batch known_batch(self, raw, decoders, Plan plan, types, result):
        """The rows of a result that is decoded as one before; None for a first one."""
        known = (<dict?> decoders.readable).get(types.oids)
        if (
            known is not None
            and (<tuple> known)[1] == raw.pgconn.parameter_status(TIME_ZONE)
        ):
            try:
                return self.batch(plan, (<tuple> known)[0], result)
            except ValueError:
                pass  # a column has another type now
        return None

    cdef object decoders(self, raw, bint asks=True):
        """The decoders of a session, as `decoders_of()`, if it is asked, returns them."""
        cdef dict own = <dict> PyObject_GenericGetDict(raw, NULL)
        session = own.get("session")
        if session is not None:
            own = <dict> PyObject_GenericGetDict(session, NULL)
        found = own.get("_daf_decoders")
        if found is None or found.json_loads is not self.json_loader._loads:
            return self.decoders_of(raw) if asks else None
        return found

    cdef object batch(self, Plan plan, decoder, result):
        address = result.pgresult_ptr
        return ResultBatch(plan, decoder, result, address, decoder.check(address))


cdef bytes TIME_ZONE = b"TimeZone"
cdef bytes CLIENT_ENCODING = b"client_encoding"
cdef bytes UTF8 = b"UTF8"

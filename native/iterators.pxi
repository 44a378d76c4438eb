# The iterator of synchronous querysets.

# As in a generator (PEP 479): from a converter it must not pass for the end of the rows.
cdef str NOT_THE_END = "a source or a row raised StopIteration"

ctypedef PyObject *(*take_item)(Batch batch, Py_ssize_t index) noexcept


cdef object call_item(Batch batch, Py_ssize_t index):
    return batch.item(index)


cdef inline PyObject *raw_item(Batch batch, Py_ssize_t index) noexcept:
    # NULL with the error set. A `try` around each row would save and restore the
    # thread's exception state (7 of 29 ns).
    return (<take_item> call_item)(batch, index)


def items(Batch batch not None):
    """All items of a batch, as a list. For a row or two an iterator costs as much."""
    cdef list made = []
    cdef Py_ssize_t index
    try:
        for index in range(batch.rows):
            made.append(batch.item(index))
    except StopIteration as error:
        raise RuntimeError(NOT_THE_END) from error
    return made


@cython.final
cdef class RowIterator:
    """Items of the batches that `source()` returns until it returns None.

    An error ends the iteration, as in a generator. `source.close()`, if there is one,
    is called when the iteration ends before the source does: by an error, by close(),
    or by dropping the iterator.
    """

    def __init__(self, source not None):
        self.source = source

    def __iter__(self):
        return self

    def __next__(self):
        cdef Batch batch
        cdef PyObject *item
        while self.position >= self.rows:
            if not self.fetch():
                raise StopIteration
        batch = self.batch  # a reference: a converter may close this iterator
        self.position += 1
        item = raw_item(batch, self.position - 1)
        if item is NULL:
            self.failed()
        return steal_reference(item)

    def __length_hint__(self):
        return self.rows - self.position

    def close(self):
        """End the iteration. Does nothing when it has ended."""
        source, self.source = self.source, None
        self.batch = None
        self.position = self.rows = 0
        close = getattr(source, "close", None)
        if close is not None:
            close()

    def __del__(self):
        self.close()

    cdef bint fetch(self) except -1:
        cdef object batch
        if self.source is None:
            return False
        self.batch = None
        self.position = self.rows = 0
        try:
            batch = self.source()
            if batch is not None and not isinstance(batch, Batch):
                raise TypeError(f"a source returns batches or None, not {batch!r}")
        except StopIteration as error:
            self.close()
            raise RuntimeError(NOT_THE_END) from error
        except BaseException:
            self.close()
            raise
        if batch is None or self.source is None:
            self.source = None
            return False
        self.batch = batch
        self.rows = self.batch.rows
        return True

    cdef int failed(self) except -1:
        try:
            propagate_error()
        except StopIteration as error:
            self.close()
            raise RuntimeError(NOT_THE_END) from error
        except BaseException:
            self.close()
            raise

# Rows at hand, turned into items one at a time.
#
# In: a result with its decoder, or rows, and the row plan.
# Out: instances or values, one at a time.
# Next: the caller's loop.

cdef extern from "Python.h":
    # Errors stay set and are passed on by `load`, which is C to its caller.
    bint PyTuple_CheckExact(PyObject *obj) noexcept
    PyObject *PyList_GET_ITEM(PyObject *items, Py_ssize_t index) noexcept
    Py_ssize_t PyList_GET_SIZE(PyObject *items) noexcept
    PyObject *PySequence_Tuple(PyObject *obj) noexcept
    PyObject *PyErr_Format(PyObject *kind, const char *text, ...) noexcept
    PyObject *PyExc_ValueError
    PyObject *PyExc_IndexError
    PyObject *Py_NewRef(PyObject *obj) noexcept

# A row this wide is kept on the C stack, a wider one on the heap.
cdef enum:
    STACK_COLUMNS = 64


cdef class Batch:
    def __len__(self):
        return self.rows

    cdef object item(self, Py_ssize_t index):
        raise NotImplementedError("Batch is abstract: use one of its subclasses")


@cython.final
cdef class ListBatch(Batch):
    """Objects that exist already."""

    def __init__(self, list items not None):
        self.items = items
        self.rows = len(items)

    cdef object item(self, Py_ssize_t index):
        if index >= PyList_GET_SIZE(<PyObject *> self.items):
            raise IndexError("the list has become shorter")
        return <object> PyList_GET_ITEM(<PyObject *> self.items, index)


@cython.final
cdef class Part(Batch):
    """Some of the items of a batch: from the one at `first` on, `rows` or those left."""

    def __init__(self, Batch whole not None, Py_ssize_t first, Py_ssize_t rows):
        if not 0 <= first <= whole.rows or rows < 0:
            raise ValueError(f"no {rows} items at {first}: there are {whole.rows}")
        self.whole = whole
        self.first = first
        self.rows = min(rows, whole.rows - first)

    cdef object item(self, Py_ssize_t index):
        return self.whole.item(self.first + index)


cdef class RowBatch(Batch):
    """Rows for a plan. `load` is C: 0, or -1 with the error set and nothing handed over."""

    cdef int set_plan(self, Plan plan, connection=None) except -1:
        if not plan.ready:
            raise ValueError("the plan was never initialised")
        self.plan = plan
        self.connection = plan.connection if connection is None else connection
        if plan.zoned:
            self.zone = self.connection.timezone
        return 0

    cdef int load(self, Py_ssize_t index, PyObject **out) noexcept:
        PyErr_Format(PyExc_IndexError, "no rows in an abstract batch")
        return -1

    cdef object item(self, Py_ssize_t index):
        cdef PyObject *stack[STACK_COLUMNS]
        cdef PyObject **row = stack
        cdef Plan plan = self.plan
        cdef Py_ssize_t i
        if plan.width > STACK_COLUMNS:
            row = <PyObject **> PyMem_Malloc(plan.width * sizeof(PyObject *))
            if row is NULL:
                raise MemoryError()
        if self.load(index, row) != 0:
            if row is not stack:
                PyMem_Free(row)
            raise_decoding_error(plan)
        try:
            if plan.converters is not None:
                plan.convert(row, self.connection, self.zone)
            return plan.build(row)
        finally:
            for i in range(plan.width):
                Py_XDECREF(row[i])
            if row is not stack:
                PyMem_Free(row)


cdef int raise_decoding_error(Plan plan) except -1:
    try:
        propagate_error()
    except Exception as error:
        if plan.translate_error is None:
            raise
        translated = plan.translate_error(error)
        if translated is error:
            raise
        raise translated from error


@cython.final
cdef class TupleBatch(RowBatch):
    """Rows that a driver has decoded: a list of sequences of `plan.width` columns.

    What a row has beyond that is left out, as SQLCompiler does with columns that only
    the ordering needs. A plan that is kept is given the `connection` of the rows.
    """

    def __init__(self, Plan plan not None, list rows not None, connection=None):
        self.set_plan(plan, connection)
        self.values = rows
        self.rows = len(rows)
        self.as_they_are = type(plan) is TuplePlan and plan.converters is None

    cdef object item(self, Py_ssize_t index):
        cdef PyObject *row
        if self.as_they_are and index < PyList_GET_SIZE(<PyObject *> self.values):
            row = PyList_GET_ITEM(<PyObject *> self.values, index)
            if PyTuple_CheckExact(row) and PyTuple_GET_SIZE(row) == self.plan.width:
                return <object> row
        return RowBatch.item(self, index)

    cdef int load(self, Py_ssize_t index, PyObject **out) noexcept:
        cdef PyObject *values = <PyObject *> self.values
        cdef PyObject *given
        cdef PyObject *row
        cdef Py_ssize_t i
        if index >= PyList_GET_SIZE(values):
            PyErr_Format(PyExc_IndexError, "the list of rows has become shorter")
            return -1
        # Held: a row that is no tuple runs code of its own, which may change the list.
        given = Py_NewRef(PyList_GET_ITEM(values, index))
        row = PySequence_Tuple(given)
        Py_XDECREF(given)
        if row is NULL:
            return -1
        if PyTuple_GET_SIZE(row) < self.plan.width:
            PyErr_Format(
                PyExc_ValueError,
                "expected a row of at least %zd columns, got %zd",
                self.plan.width,
                PyTuple_GET_SIZE(row),
            )
            Py_XDECREF(row)
            return -1
        for i in range(self.plan.width):
            out[i] = Py_NewRef(PyTuple_GET_ITEM(row, i))
        Py_XDECREF(row)
        return 0


@cython.final
cdef class ResultBatch(RowBatch):
    """Rows of a libpq result at `address`, which `owner` keeps; decoded when asked for."""

    def __init__(
        self, Plan plan not None, decoder, owner, uintptr_t address, Py_ssize_t rows
    ):
        cdef object capsule = decoder.capsule
        cdef const row_decoder *decode = <const row_decoder *> PyCapsule_GetPointer(
            capsule, ROW_DECODER_CAPSULE
        )
        if decode.abi != ROW_DECODER_ABI:
            raise ValueError(
                f"expected row decoder ABI {ROW_DECODER_ABI}, got {decode.abi}"
            )
        if decode.columns != <size_t> plan.width:
            raise ValueError(
                f"the plan expects {plan.width} columns, the decoder writes"
                f" {decode.columns}"
            )
        if address == 0:
            raise ValueError("address of the result is NULL")
        if not 0 <= rows <= INT_MAX:
            raise ValueError(f"rows must be between 0 and {INT_MAX}, got {rows}")
        self.set_plan(plan)
        self.decoder = decoder
        self.capsule = capsule
        self.owner = owner
        self.decode = decode
        self.result = <const void *> address
        self.rows = rows

    cdef int load(self, Py_ssize_t index, PyObject **out) noexcept:
        return self.decode.decode_row(self.decode.ctx, self.result, <int> index, out)

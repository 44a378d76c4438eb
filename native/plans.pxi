# What a row becomes: the plans without models.

cdef extern from "Python.h":
    # Arguments as pointers: Cython takes no reference of its own to what sits in a row.
    int PyDict_SetItem(PyObject *d, PyObject *key, PyObject *value) except -1
    object PyTuple_New(Py_ssize_t size)
    void PyTuple_SET_ITEM(PyObject *t, Py_ssize_t index, PyObject *value) noexcept
    PyObject *PyTuple_GET_ITEM(PyObject *t, Py_ssize_t index) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject *t) noexcept


@cython.final
cdef class _Converter:
    def __init__(self, Py_ssize_t column, functions, expression):
        self.column = column
        self.functions = functions = tuple(functions)
        self.expression = expression
        self.zoned = any(
            [type(f) is DateTimeConverter or type(f) is AwareConverter for f in functions]
        )


cdef class Plan:
    def __init__(
        self, Py_ssize_t width, *, converters=(), connection=None, translate_error=None
    ):
        if self.ready:
            raise RuntimeError("a plan is made once")
        if width < 0:
            raise ValueError(f"width must not be negative, got {width}")
        self.width = width
        self.connection = connection
        self.translate_error = translate_error
        self.converters = tuple([_Converter(*triple) for triple in converters]) or None
        for converter in self.converters or ():
            self.check_column((<_Converter> converter).column)
            self.zoned = self.zoned or (<_Converter> converter).zoned
        self.ready = True

    cdef int check_column(self, Py_ssize_t column) except -1:
        if not 0 <= column < self.width:
            raise ValueError(f"no column {column} in a row of {self.width}")
        return 0

    cdef int convert(self, PyObject **row, object connection, zone) except -1:
        """As SQLCompiler.apply_converters; `zone` is what the connection's times have."""
        cdef _Converter converter
        cdef object value, expression
        cdef PyObject *old
        for converter in self.converters:
            value, expression = <object> row[converter.column], converter.expression
            for function in converter.functions:
                if isinstance(function, CompiledConverter):
                    value = (<CompiledConverter> function).convert(
                        value, expression, connection, zone
                    )
                else:
                    value = function(value, expression, connection)
            old = row[converter.column]
            Py_INCREF(value)
            row[converter.column] = <PyObject *> value
            Py_XDECREF(old)
        return 0

    cdef object build(self, PyObject **row):
        raise NotImplementedError("Plan is abstract: use one of its subclasses")


cdef object take_tuple(PyObject **row, Py_ssize_t size):
    """The columns, taken out of the row."""
    cdef object values = PyTuple_New(size)
    cdef Py_ssize_t i
    for i in range(size):
        PyTuple_SET_ITEM(<PyObject *> values, i, row[i])
        row[i] = NULL
    return values


@cython.final
cdef class TuplePlan(Plan):
    """A tuple of the columns."""

    cdef object build(self, PyObject **row):
        return take_tuple(row, self.width)


@cython.final
cdef class FlatPlan(Plan):
    """The value of the first column."""

    def __init__(self, Py_ssize_t width=1, **common):
        Plan.__init__(self, width=width, **common)
        self.check_column(0)

    cdef object build(self, PyObject **row):
        cdef PyObject *value = row[0]
        row[0] = NULL
        return steal_reference(value)


@cython.final
cdef class NamedPlan(Plan):
    """A `tuple_class` (of collections.namedtuple) of the columns."""

    def __init__(self, tuple_class, *, Py_ssize_t width, **common):
        if not issubclass(tuple_class, tuple):
            raise TypeError(f"{tuple_class!r} is no subclass of tuple")
        Plan.__init__(self, width=width, **common)
        self.tuple_class = tuple_class

    cdef object build(self, PyObject **row):
        # Not by tp_alloc: what a tuple keeps besides its items is CPython's business
        # (3.14 caches the hash).
        return tuple.__new__(self.tuple_class, take_tuple(row, self.width))


@cython.final
cdef class DictPlan(Plan):
    """A dict of the first columns under `names`; of equal names the last column wins."""

    def __init__(self, names, *, Py_ssize_t width, **common):
        cdef tuple interned = tuple([intern(name) for name in names])
        Plan.__init__(self, width=width, **common)
        if len(interned) > width:
            raise ValueError(f"{len(interned)} names for a row of {width}")
        self.template = dict.fromkeys(interned)
        self.names = interned

    cdef object build(self, PyObject **row):
        # A copy has its final size and order at once: no growing (10 % of a row of ten).
        cdef dict values = PyDict_Copy(self.template)
        cdef PyObject *names = <PyObject *> self.names
        cdef Py_ssize_t i
        for i in range(PyTuple_GET_SIZE(names)):
            PyDict_SetItem(<PyObject *> values, PyTuple_GET_ITEM(names, i), row[i])
        return values

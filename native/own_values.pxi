# What an instance has of its own, read where CPython keeps it.
#
# In: an instance of exactly one class and one of its names. Out: the value, or nothing.
# No Python code runs, and no `__dict__` is made where CPython's layout is known.

cdef extern from "inline_values.h":
    PyObject **inline_values_of(object obj, const inline_places *places) noexcept


@cython.final
cdef class OwnNames:
    """What instances of exactly the class `kind` have of their own, by `names`."""

    def __init__(self, kind, tuple names not None):
        check_class(kind)
        self.names = names
        find_places(kind, names, &self.places)


cdef inline object own_value(OwnNames names, instance, int name):
    """What `instance` has, ABSENT for nothing."""
    cdef PyObject *found
    cdef PyObject **values = inline_values_of(instance, &names.places)
    if values is not NULL:
        found = values[names.places.places[name]]
    else:
        values_of = <dict> PyObject_GenericGetDict(instance, NULL)
        found = PyDict_GetItemWithError(<dict> values_of, names.names[name])
    return ABSENT if found is NULL else <object> found


cdef inline object attribute_of(OwnNames names, instance, int name):
    """An attribute, which is most likely its own."""
    found = own_value(names, instance, name)
    return getattr(instance, names.names[name]) if found is ABSENT else found


cdef inline bint is_attribute(kind, str name, value) noexcept:
    """Whether instances of `kind` find `value` by a name, unless they have their own."""
    return _PyType_Lookup(<PyTypeObject *> kind, name) == <PyObject *> value

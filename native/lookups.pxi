# What each request asks for many times, where Django's and asgiref's ways to it are long.
#
# In: an object of theirs and a name. Out: what their own method would return. That is
# called in any case but the usual one.

from contextvars import ContextVar


cdef extern from "Python.h":
    PyObject *_PyType_Lookup(PyTypeObject *kind, object name) noexcept
    object PyContextVar_Set(object variable, object value)


cdef inline bint is_plain(kind) noexcept:
    """Whether what is of `kind` is no method of a proxy: Django looks for these.

    Compared as pointers: a class may have no hash.
    """
    return (
        kind is str or kind is bool or kind is int or kind is list
        or kind is tuple or kind is dict or kind is type(None)
    )


# The class of lazy objects, and the last reader that was made for it.
cdef object lazy_kind = None
cdef object lazy_read = None


def lazy_reader(kind):
    """Return a `__getattribute__` for `kind`, Django's LazyObject: as its own.

    Settings are one, and `request.user`. What its methods hide is of the object inside.
    """
    global lazy_kind, lazy_read
    otherwise = kind.__getattribute__

    def read(instance, name):
        cdef tuple bases = mro_of(type(instance))
        if len(bases) < 2 or bases[len(bases) - 2] is not kind:
            return otherwise(instance, name)
        value = PyObject_GenericGetAttr(instance, name)
        if (
            not is_plain(type(value))
            and name != "_wrapped"
            and not getattr(value, "_mask_wrapped", True)
        ):
            raise AttributeError
        return value

    lazy_kind, lazy_read = kind, read
    return read


cdef object setting(dict module, str name):
    """What the `settings` that a module has say by a name, now."""
    settings = module["settings"]
    kind = type(settings)
    cdef tuple bases = mro_of(kind)
    cdef dict values
    cdef PyObject *found
    if (
        len(bases) > 1
        and bases[len(bases) - 2] is lazy_kind
        and _PyType_Lookup(<PyTypeObject *> kind, "__getattribute__")
        == <PyObject *> lazy_read
        and _PyType_Lookup(<PyTypeObject *> kind, name) is NULL
    ):
        # As the reader finds it, without a call.
        values = PyObject_GenericGetDict(settings, NULL)
        found = PyDict_GetItemWithError(values, name)
        if found is not NULL and is_plain(type(<object> found)):
            return <object> found
    return getattr(settings, name)


@cython.final
cdef class LocalMethods:
    """Methods of asgiref's `Local`, whose `_storage` is of class `kind`.

    That has a context variable, `_data`, with the values in one of class `storage`,
    which are those of its thread. `watch` is for both, `owner` is the local's class;
    whoever has greenlets for threads replaces what is in the module `threading`.
    """

    def __init__(
        self, owner, kind, storage, ClassWatch watch not None, dict threading not None
    ):
        self.owner = owner
        self.kind = kind
        self.storage = storage
        self.watch = watch
        self.threading = threading
        self.said = {}

    cdef object variable(self, local, name):
        """The context variable of `local`; None where asgiref has to do it."""
        variables = PyObject_GenericGetAttr(local, "_storage")
        if type(variables) is not self.kind or name == "_data" or not holds(self.watch):
            return None
        variable = PyObject_GenericGetAttr(variables, "_data")
        return variable if type(variable) is ContextVar else None

    cdef dict values(self, variable):
        """What the thread has, not to be changed; None for nothing."""
        found = value_of(variable)
        if found is None or found.thread_id != self.threading["get_ident"]():
            return None
        return found.data

    cdef int set_values(self, variable, dict values) except -1:
        # As its __init__ does, which `watch` is for as well.
        made = allocate(self.storage)
        PyObject_SetAttr(made, "thread_id", self.threading["get_ident"]())
        PyObject_SetAttr(made, "data", values)
        PyContextVar_Set(variable, made)
        return 0

    cdef object lacking(self, local, name):
        """What asgiref says then. A number in a template asks for a language in vain."""
        variables = PyObject_GenericGetAttr(local, "_storage")
        # It has the address, which is all that there is to say of one.
        key = PyLong_FromVoidPtr(<void *> <PyObject *> variables), name
        cdef PyObject *found = PyDict_GetItemWithError(self.said, key)
        if found is not NULL:
            return <object> found
        if len(self.said) > 100:
            self.said.clear()
        self.said[key] = f"{variables!r} object has no attribute {name!r}"
        return self.said[key]

    def methods(self):
        """Return `__getattr__`, `__setattr__` and `__delattr__`."""
        get, set, delete = (
            self.owner.__getattr__, self.owner.__setattr__, self.owner.__delattr__
        )

        def get_attribute(local, name):
            cdef PyObject *found
            variable = self.variable(local, name)
            if variable is None or _PyType_Lookup(<PyTypeObject *> self.kind, name):
                return get(local, name)
            values = self.values(variable)
            if values is not None:
                found = PyDict_GetItemWithError(values, name)
                if found is not NULL:
                    return <object> found
            raise AttributeError(self.lacking(local, name))

        def set_attribute(local, name, value):
            variable = self.variable(local, name)
            if variable is None:
                return set(local, name, value)
            values = self.values(variable)
            values = {} if values is None else values.copy()
            values[name] = value
            self.set_values(variable, values)

        def delete_attribute(local, name):
            variable = self.variable(local, name)
            if variable is None:
                return delete(local, name)
            values = self.values(variable)
            if values is None or name not in values:
                raise AttributeError(self.lacking(local, name))
            values = values.copy()
            del values[name]
            self.set_values(variable, values)

        return get_attribute, set_attribute, delete_attribute


cdef object local_value(LocalMethods methods, local, str name, otherwise):
    """What a local has by a name: without an error, which costs, for nothing.

    `methods` are those of its class, if they are asgiref's own.
    """
    cdef PyObject *found
    cdef dict values
    variable = None
    if methods is not None and type(local) is methods.owner:
        variable = methods.variable(local, name)
    if variable is None:
        return getattr(local, name, otherwise)
    values = methods.values(variable)
    if values is None:
        return otherwise
    found = PyDict_GetItemWithError(values, name)
    return otherwise if found is NULL else <object> found

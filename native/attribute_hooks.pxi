# Who sets an attribute of an object that something was learnt of.

@cython.final
cdef class AttributeHooks:
    """`__setattr__` and `__delattr__` of a class, after which `changed` is told.

    `changed(instance, name, before)` is called when an instance that has `bound` gets
    another attribute than those of `quiet`, or loses one; `before` is what it had of its
    own. The class has none of its own; what comes after it among a subclass's bases sets
    the attribute.
    """

    def __init__(self, kind, str bound not None, frozenset quiet not None, changed):
        if not isinstance(kind, type):
            raise TypeError(f"expected a class, got {kind!r}")
        self.kind = kind
        self.bound = bound
        self.quiet = quiet
        self.changed = changed

    cdef object next_owner(self, instance, str method):
        """The class among the bases that has the method, None for object's own."""
        cdef bint after = False
        cdef object owner = type(instance)
        for each in <tuple> (<ClassStruct *> owner).tp_mro:
            if each is self.kind:
                after = True
            elif (
                after
                and (<ClassStruct *> each).tp_flags & Py_TPFLAGS_HEAPTYPE
                and method in <dict> (<ClassStruct *> each).tp_dict
            ):
                return each
        return None

    cdef int tell(self, instance, name, before) except -1:
        if name not in self.quiet and getattr(instance, self.bound, None) is not None:
            self.changed(instance, name, before)
        return 0

    def methods(self):
        """Return the two methods."""

        def set_attribute(instance, name, value):
            before = own_attribute(instance, name)
            found = self.next_owner(instance, "__setattr__")
            if found is None:
                PyObject_GenericSetAttr(instance, name, value)
            else:
                found.__setattr__(instance, name, value)
            self.tell(instance, name, before)

        def delete_attribute(instance, name):
            before = own_attribute(instance, name)
            found = self.next_owner(instance, "__delattr__")
            if found is None:
                object.__delattr__(instance, name)
            else:
                found.__delattr__(instance, name)
            self.tell(instance, name, before)

        return set_attribute, delete_attribute


cdef object own_attribute(instance, name):
    """What an instance has by a name, besides its class."""
    return (<dict> PyObject_GenericGetDict(instance, NULL)).get(name, ABSENT)

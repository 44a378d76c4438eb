# Whether classes have been changed, without looking each of their attributes up.

cdef extern from "Python.h":
    ctypedef struct ClassVersion "PyTypeObject":
        unsigned int tp_version_tag


@cython.final
cdef class ClassWatch:
    """Classes that were right when `look()` was called, last.

    CPython gives a class another version when it, or what it inherits, is changed; 0
    is none, and says nothing (types.h: `tp_version_tag`).
    """

    def __init__(self, *classes, asked=None):
        if len(classes) > WATCHED_CLASSES:
            raise ValueError(f"at most {WATCHED_CLASSES} classes, got {len(classes)}")
        for each in classes:
            if not isinstance(each, type):
                raise TypeError(f"expected a class, got {each!r}")
        self.classes = classes
        self.asked = asked

    def look(self):
        """Take the classes as they are now for what they should be."""
        cdef Py_ssize_t i
        for i in range(len(self.classes)):
            self.versions[i] = version_of(self.classes[i])

    def unchanged(self):
        """Tell whether no class has been changed since; False if that is unknown."""
        return is_unchanged(self)

    def holds(self):
        """Return what `asked()` has answered; it is called when a class has changed.

        It has to call `look()`, before it looks itself.
        """
        if not is_unchanged(self):
            self.answer = self.asked()
        return self.answer


cdef bint is_unchanged(ClassWatch self):
    cdef Py_ssize_t i
    for i in range(len(self.classes)):
        if self.versions[i] == 0 or self.versions[i] != version_of(self.classes[i]):
            return False
    return True


cdef inline unsigned int version_of(object kind):
    return (<ClassVersion *> kind).tp_version_tag

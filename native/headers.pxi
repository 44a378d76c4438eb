# The headers of a request and of a response, as Django keeps them.
#
# In: a name and a value. Out: what Django's own method would store, which is called in
# any case but the usual one, before anything has been done.

from libc.string cimport memchr


cdef extern from "Python.h":
    ctypedef struct ClassAccess "PyTypeObject":
        void *tp_getattro
        void *tp_setattro
        object (*tp_new)(PyTypeObject *kind, PyObject *args, PyObject *kwargs)
    void *generic_get "PyObject_GenericGetAttr"
    void *generic_set "PyObject_GenericSetAttr"
    bint PyUnicode_IS_ASCII(object text) noexcept
    int PyUnicode_KIND(object text) noexcept
    bytes PyUnicode_AsASCIIString(object text)
    bytes PyUnicode_AsLatin1String(object text)
    bytes PyUnicode_AsUTF8String(object text)


# Where Django has to look.
cdef object UNUSUAL = object()


cdef inline bint is_header_line(text) noexcept:
    """Whether it is text of latin-1, without an end of a line."""
    if type(text) is not str or PyUnicode_KIND(text) != 1:
        return False
    data, length = PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text)
    return not memchr(data, b"\n", length) and not memchr(data, b"\r", length)


@cython.final
cdef class HeaderMethods:
    """Methods of the headers of requests and of responses, classes that `watch` is for."""

    def __init__(self, of_request, of_response, ClassWatch watch not None):
        self.of_request = of_request
        self.of_response = of_response
        self.watch = watch
        # By names in `request.META`, at most two hundred: those of headers.
        self.titles = {}

    cdef dict store(self, headers):
        """The dict of headers; None where Django has to look."""
        kind = type(headers)
        if (kind is self.of_response or kind is self.of_request) and holds(self.watch):
            found = PyObject_GenericGetAttr(headers, "_store")
            if type(found) is dict:
                return <dict> found
        return None

    cdef object found(self, headers, key):
        """The value by a key; ABSENT, or UNUSUAL."""
        cdef PyObject *entry
        cdef dict store = self.store(headers)
        if store is None or type(key) is not str:
            return UNUSUAL
        if type(headers) is self.of_request:
            key = (<str> key).replace("_", "-")
        entry = PyDict_GetItemWithError(store, (<str> key).lower())
        if entry is NULL:
            return ABSENT
        pair = <object> entry
        return pair[1] if is_pair(pair) else UNUSUAL

    cdef object new(self):
        """Headers of a response, none yet; None where Django has to make them."""
        if not holds(self.watch):
            return None
        made = (<ClassAccess *> <PyObject *> self.of_response).tp_new(
            <PyTypeObject *> self.of_response, <PyObject *> (), NULL
        )
        made._store = {}
        return made

    cdef bint set(self, headers, key, value) except -1:
        """Set a header of a response; False, and nothing, where Django has to."""
        cdef dict store
        if type(headers) is not self.of_response or not is_header_line(key):
            return False
        store = self.store(headers)
        if store is None or not PyUnicode_IS_ASCII(key):
            return False
        if type(value) is int:
            value = str(value)
        elif not is_header_line(value):
            return False
        store[(<str> key).lower()] = key, value
        return True

    def lookups(self, mapping):
        """Return `__contains__` and `get` for `mapping`, of which the classes are."""

        def contains(headers, key):
            value = self.found(headers, key)
            if value is UNUSUAL:
                return super(mapping, headers).__contains__(key)
            return value is not ABSENT

        def get(headers, key, default):
            value = self.found(headers, key)
            if value is UNUSUAL:
                return super(mapping, headers).get(key, default)
            return default if value is ABSENT else value

        return contains, get

    def methods_of_response(self):
        """Return `__init__` and `__setitem__`."""
        init_before, set_before = self.of_response.__init__, self.of_response.__setitem__

        def init(headers, *args, **kwargs):
            if (
                len(args) != 1
                or kwargs
                or not (args[0] is None or type(args[0]) is dict)
                or type(headers) is not self.of_response
                or not holds(self.watch)
            ):
                return init_before(headers, *args, **kwargs)
            headers._store = {}
            if args[0] is not None:
                for key, value in (<dict> args[0]).items():
                    if not self.set(headers, key, value):
                        set_before(headers, key, value)

        def set_item(headers, key, value):
            if not self.set(headers, key, value):
                set_before(headers, key, value)

        return init, set_item

    def init_of_request(self):
        """Return `__init__`."""
        before = self.of_request.__init__

        def init(headers, *args, **kwargs):
            cdef dict store = {}
            if (
                len(args) != 1
                or kwargs
                or type(args[0]) is not dict
                or type(headers) is not self.of_request
                or not holds(self.watch)
            ):
                return before(headers, *args, **kwargs)
            for name, value in (<dict> args[0]).items():
                if type(name) is not str or not PyUnicode_IS_ASCII(name):
                    return before(headers, *args, **kwargs)
                title = self.title(name)
                if title is not None:
                    store[(<str> title).lower()] = title, value
            headers._store = store

        return init

    cdef object title(self, str name):
        """A header's name, by the one in `request.META`; None for what is no header."""
        cdef PyObject *known
        cdef Py_ssize_t size = PyUnicode_GET_LENGTH(name)
        # Others may be headers tomorrow; and clients choose the names.
        if not name.startswith("HTTP_") or not 5 < size < 50:
            return self.of_request.parse_header_name(name) or None
        if self.of_request.HTTP_PREFIX != "HTTP_":
            return self.of_request.parse_header_name(name) or None
        known = PyDict_GetItemWithError(self.titles, name)
        if known is not NULL:
            return <object> known
        title = self.of_request.parse_header_name(name)
        if len(self.titles) >= 200:
            self.titles.clear()
        self.titles[name] = title
        return title

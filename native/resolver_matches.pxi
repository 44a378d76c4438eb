# What a ResolverMatch of Django's is made of, from a pattern's match on.
#
# In: what a pattern has matched; then what each resolver around it adds. Out: the
# ResolverMatch, after as many looks at its view as by Django's own code.

# In the order in which its `__init__` sets them.
MATCH_NAMES = (
    *("func", "args", "kwargs", "url_name", "route", "tried", "captured_kwargs"),
    *("extra_kwargs", "app_names", "app_name", "namespaces", "namespace"),
    *("_func_path", "view_name"),
)


@cython.final
@cython.freelist(8)
cdef class Found:
    """A pattern's match: `rest` of the path is left. Then what a ResolverMatch has."""

    cdef int take(self, args, dict kwargs) except -1:
        """Take what somebody else's `resolve()` returned; `args` are the resolver's."""
        match = self.match
        kwargs.update(match.kwargs)
        self.args = match.args
        if not kwargs:
            self.args = args + match.args
        self.kwargs = kwargs
        self.tried = match.tried
        self.func = match.func
        self.url_name = match.url_name
        self.app_names = [each for each in match.app_names if each]
        self.namespaces = [each for each in match.namespaces if each]
        self.route = match.route
        self.captured = match.captured_kwargs
        self.extra = match.extra_kwargs
        return 0

    cdef int name_view(self) except -1:
        """Find the view's path, as each ResolverMatch does: it may notice."""
        if self.plain:
            return 0
        view = self.func
        self.plain = type(view) is FunctionType
        if hasattr(view, "view_class"):
            view = view.view_class
            self.plain = self.plain and type(view) is type
        if not hasattr(view, "__name__"):
            kind = view.__class__
            self.func_path = kind.__module__ + "." + view.__class__.__name__
        else:
            self.func_path = view.__module__ + "." + view.__name__
        return 0


cdef Found new_found(str rest, object args, dict captured, str text):
    cdef Found found = Found.__new__(Found)
    found.rest = rest
    found.args = args
    found.captured = captured
    found.text = text
    return found


cdef inline dict joined(first, second):
    """`{**first, **second}`: of a first that is no mapping Cython would make a dict."""
    if type(first) is dict:
        return {**(<dict> first), **second}
    return {**{}, **first, **second}


# Where somebody else has to be asked.
cdef Found ELSEWHERE = Found.__new__(Found)


@cython.final
cdef class ResolverMatches:
    """Makes instances of `kind`, Django's ResolverMatch."""

    def __init__(self, kind):
        self.own = OwnNames(kind, MATCH_NAMES)
        self.kind = kind

    cdef object made(self, Found found):
        """The ResolverMatch, as `__init__` leaves it."""
        cdef PyObject **places
        cdef const uint8_t *place = self.own.places.places
        cdef Py_ssize_t i
        name = found.url_name or found.func_path
        cdef tuple values = (
            found.func, found.args, found.kwargs, found.url_name, found.route,
            found.tried, found.captured, found.extra,
            found.app_names, ":".join(found.app_names),
            found.namespaces, ":".join(found.namespaces),
            found.func_path, ":".join([*found.namespaces, name]),
        )
        match = allocate(self.kind)
        places = take_inline_values(match, &self.own.places)
        for i in range(len(values)):
            if places is NULL:
                PyObject_SetAttr(match, MATCH_NAMES[i], values[i])
            else:
                places[place[i]] = Py_NewRef(PyTuple_GET_ITEM(<PyObject *> values, i))
        return match

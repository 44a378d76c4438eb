# Whether one pattern of a urlconf matches a path, and what of it is left.
#
# In: a pattern of Django's, as `path()` and `re_path()` make it, and a path. Out: what
# its `match()` would return. Others, those in several languages too, are asked
# themselves; so is each the first time, when its regular expression is made.
# Next: `url_resolving.pxi`.

cdef extern from "Python.h":
    PyObject *Py_True


# What an instance may have of its own, in the order in which it is set.
cdef tuple ROUTE_NAMES = (
    "_route", "_regex", "converters", "_is_endpoint", "regex", "match",
)
cdef tuple REGEX_NAMES = (
    "_regex", "_is_endpoint", "converters", "regex", "match",
)
cdef enum:
    ROUTE_ROUTE = 0
    ROUTE_CONVERTERS = 2
    ROUTE_IS_ENDPOINT
    ROUTE_REGEX
    ROUTE_MATCH
    REGEX_TEXT = 0
    REGEX_IS_ENDPOINT
    REGEX_REGEX = 3
    REGEX_MATCH


@cython.final
cdef class UrlMatching:
    """`match()` of Django's RoutePattern and RegexPattern.

    `names` is what is in their module, `converters` in that of converters. Before 6.0
    routes are matched `by_regex`, those without converters as well.
    """

    def __init__(self, dict names not None, dict converters not None, bint by_regex):
        self.by_regex = by_regex
        self.route = names["RoutePattern"]
        self.regex = names["RegexPattern"]
        self.route_regex = vars(self.route)["regex"]
        self.regex_regex = vars(self.regex)["regex"]
        self.int_converter = converters["IntConverter"]
        self.text_converters = tuple([
            converters[each]
            for each in ("StringConverter", "SlugConverter", "PathConverter")
        ])
        self.of_route = OwnNames(self.route, ROUTE_NAMES)
        self.of_regex = OwnNames(self.regex, REGEX_NAMES)
        self.texts = RegexTexts()

    cdef bint is_djangos(self) except -1:
        """Whether regular expressions come from where Django's own code has them."""
        return (
            is_attribute(self.route, "regex", self.route_regex)
            and is_attribute(self.regex, "regex", self.regex_regex)
        )

    cdef bint excludes(self, PyObject *pattern, str path) except -1:
        """Whether a RoutePattern, as most are, does not match: as most do not."""
        # Without what Python code could run in, nothing has to be held.
        cdef const uint8_t *place = self.of_route.places.places
        cdef PyObject **values
        cdef PyObject *route
        cdef PyObject *is_endpoint
        cdef PyObject *converters
        cdef RegexText text
        if pattern is NULL or type(<object> pattern) is not self.route:
            return False
        values = inline_values_of(<object> pattern, &self.of_route.places)
        if values is NULL or values[place[ROUTE_MATCH]] is not NULL:
            return False
        route = values[place[ROUTE_ROUTE]]
        converters = values[place[ROUTE_CONVERTERS]]
        is_endpoint = values[place[ROUTE_IS_ENDPOINT]]
        if (
            route is NULL or type(<object> route) is not str
            or converters is NULL or type(<object> converters) is not dict
            or is_endpoint is NULL or type(<object> is_endpoint) is not bool
        ):
            return False
        if self.by_regex or len(<dict> converters):
            route = values[place[ROUTE_REGEX]]
            if route is NULL:
                return False
            regex = <object> route
            text = self.texts.of(regex)
            return text is not None and not text.allows(path)
        if is_endpoint == Py_True:
            return not is_same_text(<str> route, path)
        return not begins(path, <str> route)

    cdef Found matched(self, pattern, str path):
        """What the pattern's `match()` returns."""
        kind = type(pattern)
        if kind is self.route:
            return self.match_route(pattern, path)
        if kind is self.regex:
            return self.match_regex(pattern, path)
        return ELSEWHERE

    cdef Found match_route(self, pattern, str path):
        cdef OwnNames names = self.of_route
        route = own_value(names, pattern, ROUTE_ROUTE)
        converters = own_value(names, pattern, ROUTE_CONVERTERS)
        is_endpoint = own_value(names, pattern, ROUTE_IS_ENDPOINT)
        if (
            type(route) is not str
            or type(converters) is not dict
            or type(is_endpoint) is not bool
            or own_value(names, pattern, ROUTE_MATCH) is not ABSENT
        ):
            return ELSEWHERE
        if self.by_regex or <dict> converters:
            return self.match_converters(pattern, <str> route, <dict> converters, path)
        if is_endpoint is True:
            if not is_same_text(<str> route, path):
                return None
            return new_found("", (), {}, <str> route)
        if begins(path, <str> route):
            return new_found(path[len(<str> route):], (), {}, <str> route)
        return None

    cdef Found match_converters(self, pattern, str route, dict converters, str path):
        regex = own_value(self.of_route, pattern, ROUTE_REGEX)
        cdef RegexText text = self.texts.of(regex)
        if text is None:
            return ELSEWHERE
        if not text.allows(path):
            return None
        if text.whole or text.ended:
            return new_found(path[len(text.before):], (), {}, route)
        match = regex.search(path)
        if match is None:
            return None
        kwargs = <dict> match.groupdict()
        for key, value in kwargs.items():
            converter = converters[key]
            kind = self.kind_of(converter)
            if kind is None:
                try:
                    kwargs[key] = converter.to_python(value)
                except ValueError:
                    return None
            elif kind is int:
                try:
                    kwargs[key] = int(value)
                except ValueError:
                    return None
        return new_found(path[match.end():], (), kwargs, route)

    cdef object kind_of(self, converter):
        """What Django's own converter makes of a text, int or str; None for others."""
        kind = type(converter)
        cdef object found = None
        if kind is self.int_converter:
            found = int
        else:
            for each in self.text_converters:
                if kind is each:
                    found = str
        if found is None or <dict> PyObject_GenericGetDict(converter, NULL):
            return None
        return found

    cdef Found match_regex(self, pattern, str path):
        cdef OwnNames names = self.of_regex
        cdef bint closed
        route = own_value(names, pattern, REGEX_TEXT)
        is_endpoint = own_value(names, pattern, REGEX_IS_ENDPOINT)
        if (
            type(route) is not str
            or type(is_endpoint) is not bool
            or own_value(names, pattern, REGEX_MATCH) is not ABSENT
        ):
            return ELSEWHERE
        regex = own_value(names, pattern, REGEX_REGEX)
        cdef RegexText text = self.texts.of(regex)
        if text is None:
            return ELSEWHERE
        if not text.allows(path):
            return None
        closed = is_endpoint is True and text.dollar
        if text.whole or text.closed and closed:
            if closed and len(path) != len(text.before):
                return None
            return new_found(path[len(text.before):], (), {}, <str> route)
        match = regex.fullmatch(path) if closed else regex.search(path)
        if match is None:
            return None
        kwargs = match.groupdict()
        args = () if kwargs else match.groups()
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        return new_found(path[match.end():], args, kwargs, <str> route)

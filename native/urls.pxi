# The patterns of a urlconf, asked in turn which view a path is for.
#
# In: a resolver of Django's and a path. Out: what its `resolve()` would return.
# Patterns of other classes are asked themselves. Of a path nothing is kept.

from re import Pattern, UNICODE
from types import FunctionType


cdef extern from "inline_values.h":
    PyObject **inline_values_of(object obj, const inline_places *places) noexcept

cdef extern from "Python.h":
    PyObject *Py_True
    bint PyUnicode_Tailmatch(
        str text, str part, Py_ssize_t start, Py_ssize_t end, int direction
    ) except? -1


# What an instance may have of its own, in the order in which it is set. One that has a
# method of its own is asked itself.
cdef tuple PATTERN_NAMES = (
    "pattern", "callback", "default_args", "name", "resolve",
)
cdef tuple RESOLVER_NAMES = (
    *("pattern", "urlconf_name", "callback", "default_kwargs", "namespace", "app_name"),
    *("url_patterns", "resolve", "_extend_tried", "_join_route"),
)
cdef tuple ROUTE_NAMES = (
    "_route", "_regex", "converters", "_is_endpoint", "regex", "match",
)
cdef tuple REGEX_NAMES = (
    "_regex", "_is_endpoint", "converters", "regex", "match",
)
MATCH_NAMES = (
    *("func", "args", "kwargs", "url_name", "route", "tried", "captured_kwargs"),
    *("extra_kwargs", "app_names", "app_name", "namespaces", "namespace"),
    *("_func_path", "view_name"),
)
cdef enum:
    PATTERN_PATTERN
    PATTERN_CALLBACK
    PATTERN_DEFAULT_ARGS
    PATTERN_RESOLVE = 4
    RESOLVER_PATTERN = 0
    RESOLVER_DEFAULT_KWARGS = 3
    RESOLVER_NAMESPACE
    RESOLVER_APP_NAME
    RESOLVER_URL_PATTERNS
    RESOLVER_RESOLVE
    RESOLVER_EXTEND_TRIED
    RESOLVER_JOIN_ROUTE
    ROUTE_ROUTE = 0
    ROUTE_CONVERTERS = 2
    ROUTE_IS_ENDPOINT
    ROUTE_REGEX
    ROUTE_MATCH
    REGEX_TEXT = 0
    REGEX_IS_ENDPOINT
    REGEX_REGEX = 3
    REGEX_MATCH

# What in a regular expression does not stand for itself.
cdef str SPECIAL = "\\.^$*+?{}[]|()"
cdef str REPEATS = "*+?{"
cdef tuple ENDS = ("\\Z", "\\z")
# As many as hardly any site has.
cdef Py_ssize_t KNOWN_REGEXES = 10_000
# Of resolvers in each other, which may be endless: that is for Python to notice.
cdef int DEPTH = 30


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


@cython.final
cdef class RegexText:
    """With what all that a regular expression matches begins and ends, if it says so.

    It is `whole` where that is all, `ended` where nothing may come after that, and
    `closed` where a `$` says so, which lets a line's end pass.
    """

    def __init__(self, regex):
        self.regex = regex
        self.before = self.after = ""
        self.is_text = type(regex.pattern) is str
        if not self.is_text:
            return
        text = <str> regex.pattern
        self.dollar = text.endswith("$")
        # One of several alternatives is not in all.
        if regex.flags != UNICODE or "|" in text or not text.startswith("^"):
            return
        self.before, rest = literal_start(text[1:])
        self.whole = rest == ""
        self.closed = rest == "$"
        self.ended = rest in ENDS
        inside, _, rest = text.rpartition(")")
        if rest[-2:] in ENDS and not inside.endswith("\\"):
            after, rest = literal_start(rest[:-2])
            if inside and not rest:
                self.after = after

    cdef bint allows(self, str path) except -1:
        """Whether it may match `path`."""
        if self.ended:
            return is_same_text(path, self.before)
        return begins(path, self.before) and (
            not self.after or PyUnicode_Tailmatch(path, self.after, 0, len(path), 1)
        )


cdef inline bint begins(str text, str start) except -1:
    return PyUnicode_Tailmatch(text, start, 0, len(text), -1)


cdef inline bint is_same_text(str one, str other) except -1:
    return len(one) == len(other) and begins(one, other)


cdef tuple literal_start(str text):
    """What `text` begins with that stands for itself, and the rest of it."""
    cdef list found = []
    cdef Py_ssize_t at = 0, next
    while at < len(text):
        character, next = text[at], at + 1
        if character == "\\" and next < len(text) and not text[next].isalnum():
            character = text[next]
            next += 1
        elif character in SPECIAL:
            break
        if next < len(text) and text[next] in REPEATS:
            break
        found.append(character)
        at = next
    return "".join(found), text[at:]


@cython.final
@cython.freelist(8)
cdef class Found:
    """A pattern's match: `rest` of the path is left. Then what a ResolverMatch has."""

    cdef int take(self, match) except -1:
        """Take what somebody else's `resolve()` returned."""
        self.kwargs = match.kwargs
        self.args = match.args
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


# Where somebody else has to be asked.
cdef Found ELSEWHERE = Found.__new__(Found)


cdef int extend(list tried, pattern, others) except -1:
    """What `URLResolver._extend_tried()` does."""
    if others is None:
        tried.append([pattern])
    else:
        tried.extend([[pattern, *each] for each in others])
    return 0


@cython.final
cdef class UrlPatterns:
    """Django's resolvers and patterns, asked in one call.

    `names` is what is in their module, `converters` in that of converters; `watch` is
    for their classes. `otherwise` is Django's `URLResolver.resolve`. Before 6.0 routes
    are matched `by_regex`, those without converters as well.
    """

    def __init__(
        self, otherwise, ClassWatch watch not None, *, dict names not None,
        dict converters not None, bint by_regex,
    ):
        self.by_regex = by_regex
        self.otherwise = otherwise
        self.watch = watch
        self.names = names
        self.pattern = names["URLPattern"]
        self.resolver = names["URLResolver"]
        self.route = names["RoutePattern"]
        self.regex = names["RegexPattern"]
        self.match = names["ResolverMatch"]
        self.not_found = names["Resolver404"]
        self.route_regex = vars(self.route)["regex"]
        self.regex_regex = vars(self.regex)["regex"]
        self.int_converter = converters["IntConverter"]
        self.text_converters = tuple([
            converters[each]
            for each in ("StringConverter", "SlugConverter", "PathConverter")
        ])
        self.of_pattern = OwnNames(self.pattern, PATTERN_NAMES)
        self.of_resolver = OwnNames(self.resolver, RESOLVER_NAMES)
        self.of_route = OwnNames(self.route, ROUTE_NAMES)
        self.of_regex = OwnNames(self.regex, REGEX_NAMES)
        self.of_match = OwnNames(self.match, MATCH_NAMES)
        self.regexes = {}

    def method(self):
        """Return what is to be `URLResolver.resolve`."""
        def resolve(resolver, path):
            cdef Found mine, found
            cdef list tried
            if (
                type(resolver) is not self.resolver
                or type(path) is not str
                or self.depth > DEPTH
                or not self.are_djangos()
                or not self.is_usual(resolver)
            ):
                return self.otherwise(resolver, path)
            mine = self.enter(resolver, path)
            if mine is None:
                raise self.not_found({"path": path})
            tried = []
            found = self.inside(resolver, mine, tried)
            if found is None:
                raise self.not_found({"tried": tried, "path": mine.rest})
            return self.made(found)

        self.resolve = resolve
        return resolve

    cdef bint are_djangos(self) except -1:
        """Whether nobody has anything else where Django would look for it."""
        return (
            holds(self.watch)
            and is_attribute(self.resolver, "resolve", self.resolve)
            and is_attribute(self.route, "regex", self.route_regex)
            and is_attribute(self.regex, "regex", self.regex_regex)
            and self.names.get("ResolverMatch") is self.match
            and self.names.get("Resolver404") is self.not_found
            and self.names.get("URLPattern") is self.pattern
        )

    cdef bint is_usual(self, resolver) except -1:
        cdef OwnNames names = self.of_resolver
        return (
            own_value(names, resolver, RESOLVER_RESOLVE) is ABSENT
            and own_value(names, resolver, RESOLVER_EXTEND_TRIED) is ABSENT
            and own_value(names, resolver, RESOLVER_JOIN_ROUTE) is ABSENT
            and is_text_or_none(own_value(names, resolver, RESOLVER_APP_NAME))
            and is_text_or_none(own_value(names, resolver, RESOLVER_NAMESPACE))
        )

    cdef Found enter(self, resolver, str path):
        """Match the resolver's own pattern; None where it does not."""
        pattern = attribute_of(self.of_resolver, resolver, RESOLVER_PATTERN)
        cdef Found found = self.matched(pattern, path)
        if found is not ELSEWHERE:
            return found
        match = pattern.match(path)
        if not match:
            return None
        found = Found.__new__(Found)
        found.rest, found.args, found.captured = match
        return found

    cdef Found inside(self, resolver, Found mine, list tried):
        """Ask each of the resolver's patterns; None, with what was tried, for none."""
        self.depth += 1
        try:
            return self.ask(resolver, mine, tried)
        finally:
            self.depth -= 1

    cdef Found ask(self, resolver, Found mine, list tried):
        cdef Found found
        cdef bint plain = type(mine.rest) is str
        patterns = attribute_of(self.of_resolver, resolver, RESOLVER_URL_PATTERNS)
        for pattern in patterns:
            if (
                plain
                and type(pattern) is self.pattern
                and self.passes(pattern, <str> mine.rest)
            ):
                tried.append([pattern])
                continue
            try:
                found = self.resolved(pattern, mine.rest, tried)
            except self.not_found as exc:
                extend(tried, pattern, exc.args[0].get("tried"))
                continue
            if found is not None:
                self.merge(resolver, mine, pattern, found)
                extend(tried, pattern, found.tried)
                found.tried = tried
                return found
        return None

    cdef Found resolved(self, pattern, path, list tried):
        """What the pattern's `resolve()` returns; None, with what was tried, for none."""
        cdef Found found = ELSEWHERE
        kind = type(pattern)
        if type(path) is not str:
            return self.elsewhere(pattern, path, tried)
        if kind is self.pattern:
            found = self.leaf(pattern, <str> path)
            if found is None:
                tried.append([pattern])
        elif kind is self.resolver and self.depth <= DEPTH and self.is_usual(pattern):
            found = self.nested(pattern, <str> path, tried)
        return self.elsewhere(pattern, path, tried) if found is ELSEWHERE else found

    cdef bint passes(self, pattern, str path) except -1:
        """Whether a URLPattern, as most of them are, does not match: as most do not."""
        # Without what Python code could run in, nothing has to be held.
        cdef const uint8_t *place = self.of_pattern.places.places
        cdef PyObject **values = inline_values_of(pattern, &self.of_pattern.places)
        cdef PyObject *route
        cdef PyObject *is_endpoint
        cdef PyObject *converters
        cdef RegexText text
        if values is NULL or values[place[PATTERN_RESOLVE]] is not NULL:
            return False
        route = values[place[PATTERN_PATTERN]]
        if route is NULL or type(<object> route) is not self.route:
            return False
        values = inline_values_of(<object> route, &self.of_route.places)
        place = self.of_route.places.places
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
            text = self.text_of(regex)
            return text is not None and not text.allows(path)
        if is_endpoint == Py_True:
            return not is_same_text(<str> route, path)
        return not begins(path, <str> route)

    cdef Found leaf(self, pattern, str path):
        """What `URLPattern.resolve()` returns."""
        cdef OwnNames names = self.of_pattern
        if own_value(names, pattern, PATTERN_RESOLVE) is not ABSENT:
            return ELSEWHERE
        route = attribute_of(names, pattern, PATTERN_PATTERN)
        cdef Found found = self.matched(route, path)
        if found is None or found is ELSEWHERE:
            return found
        found.extra = attribute_of(names, pattern, PATTERN_DEFAULT_ARGS)
        found.kwargs = {**found.captured, **found.extra}
        found.func = attribute_of(names, pattern, PATTERN_CALLBACK)
        found.url_name = route.name
        found.route = found.text
        found.text = ""
        found.app_names = []
        found.namespaces = []
        found.name_view()
        if not is_text_or_none(found.url_name):
            # It refuses some.
            ":".join([found.url_name or found.func_path])
        return found

    cdef Found nested(self, pattern, str path, list tried):
        cdef Found found
        cdef Found mine = self.enter(pattern, path)
        cdef list others = []
        if mine is None:
            tried.append([pattern])
            return None
        found = self.inside(pattern, mine, others)
        if found is None:
            extend(tried, pattern, others)
        else:
            found.text = mine.text
        return found

    cdef Found elsewhere(self, pattern, path, list tried):
        """Ask the pattern itself."""
        match = pattern.resolve(path)
        if not match:
            tried.append([pattern])
            return None
        cdef Found found = Found.__new__(Found)
        found.take(match)
        if isinstance(pattern, self.pattern):
            found.text = ""
        return found

    cdef int merge(self, resolver, Found mine, pattern, Found found) except -1:
        """Add what is of the resolver, as its ResolverMatch would have it."""
        cdef OwnNames names = self.of_resolver
        default = attribute_of(names, resolver, RESOLVER_DEFAULT_KWARGS)
        kwargs = {**mine.captured, **default}
        kwargs.update(found.kwargs)
        found.kwargs = kwargs
        if not kwargs:
            found.args = mine.args + found.args
        text = str(pattern.pattern) if found.text is None else found.text
        if text:
            found.route = text + found.route.removeprefix("^")
        app_name = attribute_of(names, resolver, RESOLVER_APP_NAME)
        namespace = attribute_of(names, resolver, RESOLVER_NAMESPACE)
        if app_name:
            found.app_names.insert(0, app_name)
        if namespace:
            found.namespaces.insert(0, namespace)
        found.extra = {**default, **found.extra}
        found.name_view()
        return 0

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
        if regex is ABSENT:
            regex = pattern.regex
        cdef RegexText text = self.text_of(regex)
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
        if regex is ABSENT:
            regex = pattern.regex
        cdef RegexText text = self.text_of(regex)
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

    cdef RegexText text_of(self, regex):
        """What is known of a regular expression; None where it is something else."""
        if type(regex) is not Pattern:
            return None
        key = PyLong_FromVoidPtr(<void *> <PyObject *> regex)
        cdef PyObject *found = PyDict_GetItemWithError(self.regexes, key)
        if found is NULL:
            if len(self.regexes) >= KNOWN_REGEXES:
                self.regexes.clear()
            self.regexes[key] = RegexText(regex)
            found = PyDict_GetItemWithError(self.regexes, key)
        cdef RegexText text = <RegexText> <object> found
        return text if text.is_text else None

    cdef object made(self, Found found):
        """The ResolverMatch, as `__init__` leaves it."""
        cdef object match = allocate(self.match)
        cdef PyObject **places = take_inline_values(match, &self.of_match.places)
        cdef const uint8_t *place = self.of_match.places.places
        cdef Py_ssize_t i
        name = found.url_name or found.func_path
        cdef tuple values = (
            found.func, found.args, found.kwargs, found.url_name, found.route,
            found.tried, found.captured, found.extra,
            found.app_names, ":".join(found.app_names),
            found.namespaces, ":".join(found.namespaces),
            found.func_path, ":".join([*found.namespaces, name]),
        )
        for i in range(len(values)):
            if places is NULL:
                PyObject_SetAttr(match, MATCH_NAMES[i], values[i])
            else:
                places[place[i]] = Py_NewRef(PyTuple_GET_ITEM(<PyObject *> values, i))
        return match


cdef inline bint is_text_or_none(value):
    return value is None or type(value) is str


cdef inline bint is_attribute(kind, str name, value) noexcept:
    """Whether instances of `kind` find `value` by a name, unless they have their own."""
    return _PyType_Lookup(<PyTypeObject *> kind, name) == <PyObject *> value

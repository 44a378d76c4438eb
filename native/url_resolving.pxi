# The patterns of a urlconf, asked in turn which view a path is for.
#
# In: a resolver of Django's and a path. Out: what its `resolve()` would return.
# Patterns of other classes are asked themselves. Of a path nothing is kept.

# What an instance may have of its own, in the order in which it is set. One that has a
# method of its own is asked itself.
cdef tuple PATTERN_NAMES = (
    "pattern", "callback", "default_args", "name", "resolve",
)
cdef tuple RESOLVER_NAMES = (
    *("pattern", "urlconf_name", "callback", "default_kwargs", "namespace", "app_name"),
    *("url_patterns", "resolve", "_extend_tried", "_join_route"),
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
# Of resolvers in each other, which may be endless: that is for Python to notice.
cdef int DEPTH = 30


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
        self.otherwise = otherwise
        self.watch = watch
        self.names = names
        self.pattern = names["URLPattern"]
        self.resolver = names["URLResolver"]
        self.not_found = names["Resolver404"]
        self.matches = ResolverMatches(names["ResolverMatch"])
        self.matching = UrlMatching(names, converters, by_regex)
        self.of_pattern = OwnNames(self.pattern, PATTERN_NAMES)
        self.of_resolver = OwnNames(self.resolver, RESOLVER_NAMES)

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
            return self.matches.made(found)

        self.resolve = python_function(self.otherwise, resolve)
        return self.resolve

    cdef bint are_djangos(self) except -1:
        """Whether nobody has anything else where Django would look for it."""
        return (
            holds(self.watch)
            and is_attribute(self.resolver, "resolve", self.resolve)
            and self.matching.is_djangos()
            and self.names.get("ResolverMatch") is self.matches.kind
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
        cdef Found found = self.matching.matched(pattern, path)
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
        """Whether a URLPattern does not match, seen without Python code being run."""
        cdef const uint8_t *place = self.of_pattern.places.places
        cdef PyObject **values = inline_values_of(pattern, &self.of_pattern.places)
        return (
            values is not NULL
            and values[place[PATTERN_RESOLVE]] is NULL
            and self.matching.excludes(values[place[PATTERN_PATTERN]], path)
        )

    cdef Found leaf(self, pattern, str path):
        """What `URLPattern.resolve()` returns."""
        cdef OwnNames names = self.of_pattern
        if own_value(names, pattern, PATTERN_RESOLVE) is not ABSENT:
            return ELSEWHERE
        route = attribute_of(names, pattern, PATTERN_PATTERN)
        cdef Found found = self.matching.matched(route, path)
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
        found.match = match
        return found

    cdef int merge(self, resolver, Found mine, pattern, Found found) except -1:
        """Add what is of the resolver, as its ResolverMatch would have it."""
        cdef OwnNames names = self.of_resolver
        default = attribute_of(names, resolver, RESOLVER_DEFAULT_KWARGS)
        cdef dict kwargs = joined(mine.captured, default)
        if found.match is not None:
            found.take(mine.args, kwargs)
            found.match = None
            if isinstance(pattern, self.pattern):
                found.text = ""
        else:
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
        found.extra = joined(default, found.extra)
        found.name_view()
        return 0


cdef inline bint is_text_or_none(value):
    return value is None or type(value) is str

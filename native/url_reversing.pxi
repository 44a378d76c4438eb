# The path that a view is at, as a link asks for it.
#
# In: a view or its name, arguments that are texts, numbers or UUIDs, and perhaps a
# resolver of Django's. Out: what `reverse()`, or the resolver's `_reverse_with_prefix()`,
# would return. Who could notice that he is asked is asked by Django: other arguments,
# converters and defaults; so is everybody where nothing fits.

import re
from uuid import UUID


cdef extern from "Python.h":
    str PyUnicode_FromObject(object text)


# What an instance has of its own, in the order in which it is set.
cdef tuple REVERSING_NAMES = (
    *("pattern", "_reverse_dict", "_namespace_dict", "_app_dict", "_populated"),
    "_reverse_with_prefix",
)
cdef enum:
    REVERSING_PATTERN
    REVERSING_VIEWS
    REVERSING_NAMESPACES
    REVERSING_APPS
    REVERSING_POPULATED
    REVERSING_METHOD
# Parameters of Django's method, which arguments for a path may not be called.
cdef tuple TAKEN = ("self", "lookup_view", "_prefix")
# What is in a path as it is, besides letters and digits.
cdef str UNQUOTED = "_.-~/:@"
# More prefixes and patterns than hardly any site has.
cdef Py_ssize_t KNOWN_PATHS = 10_000


@cython.final
cdef class UrlReversing:
    """Django's resolvers, asked for a path in one call.

    `names` is what is in their module, `base` in that of `reverse()`, `converters` in
    that of converters; `watch` and `functions` tell whether what is left out is
    Django's own. `otherwise` is Django's `URLResolver._reverse_with_prefix`; `templates`
    know the language.
    """

    def __init__(
        self, otherwise, ClassWatch watch not None, FunctionWatch functions not None, *,
        dict names not None, dict base not None, dict converters not None,
        TemplateMethods templates not None,
    ):
        self.otherwise = otherwise
        self.watch = watch
        self.functions = functions
        self.names = names
        self.base = base
        self.templates = templates
        self.resolver, self.lookups = names["URLResolver"], names["MultiValueDict"]
        self.delimiters = names["RFC3986_SUBDELIMS"]
        self.converters = tuple([
            converters[f"{each}Converter"]
            for each in ("Int", "String", "Slug", "Path", "UUID")
        ])
        self.of_resolver = OwnNames(self.resolver, REVERSING_NAMES)
        self.regexes = {}
        memset(self.unquoted, 0, sizeof(self.unquoted))
        for each in UNQUOTED + self.delimiters:
            self.unquoted[<int> ord(each)] = True

    def method(self):
        """Return what is to be `URLResolver._reverse_with_prefix`."""
        def reverse(resolver, lookup_view, prefix, /, *args, **kwargs):
            found = None
            if self.are_djangos():
                found = self.path(resolver, lookup_view, prefix, args, kwargs)
            if found is None:
                return self.otherwise(resolver, lookup_view, prefix, *args, **kwargs)
            return found

        self.reverse = update_wrapper(reverse, self.otherwise)
        return self.reverse

    cdef bint are_djangos(self) except -1:
        """Whether nobody has anything else where Django would look for it."""
        return (
            holds(self.watch)
            and functions_hold(self.functions)
            and self.names["re"] is re
            and self.names["RFC3986_SUBDELIMS"] is self.delimiters
        )

    cdef str reversed(self, view_name, list args, dict kwargs, current_app):
        """What `reverse()` returns; None where Django has to find it, or say why not."""
        cdef LocalMethods methods = self.templates.methods
        if type(view_name) is self.templates.safe:
            view_name = PyUnicode_FromObject(view_name)
        if (
            type(view_name) is not str
            or not (current_app is None or type(current_app) is str)
            or not self.are_djangos()
            or not is_attribute(self.resolver, "_reverse_with_prefix", self.reverse)
        ):
            return None
        urlconf = local_value(methods, self.base["_urlconfs"], "value", None)
        if urlconf is None:
            urlconf = setting(self.names, "ROOT_URLCONF")
        resolver = self.names["_get_cached_resolver"](urlconf)
        prefix = local_value(methods, self.base["_prefixes"], "value", "/")
        cdef list spaces = (<str> view_name).split(":")
        view = spaces.pop()
        if spaces:
            resolver = self.inside(resolver, spaces, current_app)
        return self.path(resolver, view, prefix, tuple(args), kwargs)

    cdef object inside(self, resolver, list spaces, current_app):
        """The resolver of namespaces in each other; None where one is not there."""
        cdef list current = current_app.split(":") if current_app else []
        cdef str pattern = ""
        cdef dict converters = {}
        cdef PyObject *found
        current.reverse()
        for space in spaces:
            now = current.pop() if current else None
            apps = self.known(resolver, REVERSING_APPS)
            if apps is None:
                return None
            found = PyDict_GetItemWithError(<dict?> apps, space)
            if found is not NULL:
                if now and now in <object> found:
                    space = now
                elif space not in <object> found:
                    space = (<object> found)[0]
            if space != now:
                current = []
            spaces_inside = self.known(resolver, REVERSING_NAMESPACES)
            if spaces_inside is None:
                return None
            found = PyDict_GetItemWithError(<dict?> spaces_inside, space)
            if found is NULL:
                return None
            extra, resolver = <object> found
            if type(extra) is not str or type(resolver) is not self.resolver:
                return None
            pattern += <str> extra
            its = attribute_of(self.of_resolver, resolver, REVERSING_PATTERN)
            converters.update(its.converters)
        if pattern:
            make = self.base["get_ns_resolver"]
            resolver = make(pattern, resolver, tuple(converters.items()))
        return resolver

    cdef object known(self, resolver, int name):
        """What a resolver knows by a name in the language of now, or None."""
        cdef PyObject *found
        if (
            type(resolver) is not self.resolver
            or own_value(self.of_resolver, resolver, REVERSING_POPULATED) is not True
        ):
            return None
        language = self.templates.language()
        of_languages = own_value(self.of_resolver, resolver, name)
        if language is MISSING or type(of_languages) is not dict:
            return None
        found = PyDict_GetItemWithError(<dict> of_languages, language)
        return None if found is NULL else <object> found

    cdef str path(self, resolver, view, prefix, tuple args, dict kwargs):
        """The path of a view; None where Django has to find it, or say why not."""
        cdef PyObject *found
        if (
            (type(view) is not str and type(view) is not FunctionType)
            or type(prefix) is not str
            or (args and kwargs)
        ):
            return None
        for each in TAKEN:
            if each in kwargs:
                return None
        patterns = self.known(resolver, REVERSING_VIEWS)
        if (
            type(patterns) is not self.lookups
            or own_value(self.of_resolver, resolver, REVERSING_METHOD) is not ABSENT
        ):
            return None
        found = in_dict(patterns, view)
        if found is NULL:
            PyErr_Clear()
            return None
        if type(<object> found) is not list:
            return None
        return self.first_of(<list> <object> found, <str> prefix, args, kwargs)

    cdef str first_of(self, list possibilities, str prefix, tuple args, dict kwargs):
        cdef dict texts
        for matches, pattern, defaults, converters in possibilities:
            if (
                type(matches) is not list
                or type(pattern) is not str
                or type(converters) is not dict
                or defaults
            ):
                return None
            for form, params in <list> matches:
                if type(form) is not str or type(params) is not list:
                    return None
                if not fits(<list> params, args, kwargs):
                    continue
                texts = self.texts(<list> params, args, kwargs, <dict> converters)
                if texts is None:
                    return None
                text = (prefix.replace("%", "%%") + <str> form) % texts
                regex = self.regex(prefix, <str> pattern)
                if regex is None:
                    return None
                if regex.search(text) is not None:
                    return self.quoted(text)
        return None

    cdef dict texts(self, list params, tuple args, dict kwargs, dict converters):
        """The text of each argument; None where somebody could notice being asked."""
        cdef dict texts = {}
        cdef PyObject *converter
        cdef Py_ssize_t i
        for i in range(len(params)):
            name = params[i]
            value = args[i] if args else kwargs[name]
            converter = PyDict_GetItemWithError(converters, name)
            if converter is not NULL and not self.is_own(<object> converter):
                return None
            kind = type(value)
            if kind is str:
                texts[name] = value
            elif kind is self.templates.safe:
                texts[name] = PyUnicode_FromObject(value)
            elif kind is UUID or (kind is int and is_short(value)):
                texts[name] = str(value)
            else:
                return None
        return texts

    cdef bint is_own(self, converter) except -1:
        """Whether a converter makes text of a value as Django's do."""
        kind = type(converter)
        for each in self.converters:
            if kind is each:
                return not <dict> PyObject_GenericGetDict(converter, NULL)
        return False

    cdef object regex(self, str prefix, str pattern):
        """What a path has to match; None where that is no regular expression."""
        key = prefix, pattern
        cdef PyObject *known = PyDict_GetItemWithError(self.regexes, key)
        if known is not NULL:
            return <object> known
        try:
            found = re.compile(f"^{re.escape(prefix)}{pattern}")
        except re.error:
            return None
        if len(self.regexes) >= KNOWN_PATHS:
            self.regexes.clear()
        self.regexes[key] = found
        return found

    cdef str quoted(self, str text):
        """The path as it is in a URL, of this host."""
        for each in text:
            if each >= 128 or not (self.unquoted[<int> each] or is_alphanumeric(each)):
                safe = self.delimiters + "/~:@"
                text = self.names["quote"](text, safe=safe)
                break
        if text.startswith("//"):
            return self.names["escape_leading_slashes"](text)
        return text


cdef inline bint is_alphanumeric(Py_UCS4 each) noexcept:
    return 48 <= each <= 57 or 65 <= each <= 90 or 97 <= each <= 122


cdef inline bint is_short(value):
    """Whether a whole number has so few digits that Python makes text of it."""
    return -(10**18) < value < 10**18


cdef bint fits(list params, tuple args, dict kwargs) except -1:
    """Whether the arguments are those that a path has places for."""
    if args:
        return len(args) == len(params)
    for each in params:
        if each not in kwargs:
            return False
    for each in kwargs:
        if each not in params:
            return False
    return True

# The path that a view is at, as a link asks for it.
#
# In: a resolver of Django's, a view or its name, and arguments that are texts, numbers
# or UUIDs. Out: what its `_reverse_with_prefix()` would return. Who could notice that he
# is asked is asked by Django: other arguments, converters and defaults; so is everybody
# where nothing fits.

import re
from uuid import UUID


cdef extern from "Python.h":
    str PyUnicode_FromObject(object text)


# What an instance has of its own that matters here. One that has a method of its own is
# never asked by a class's.
cdef tuple REVERSING_NAMES = ("_populated",)
# Parameters of Django's method, which arguments for a path may not be called.
cdef tuple TAKEN = ("self", "lookup_view", "_prefix")
# What is in a path as it is, besides letters and digits.
cdef str UNQUOTED = "_.-~/:@"
# More prefixes and patterns than hardly any site has.
cdef Py_ssize_t KNOWN_PATHS = 10_000


@cython.final
cdef class UrlReversing:
    """Django's resolvers, asked for a path in one call.

    `names` is what is in their module, `converters` in that of converters; `watch` and
    `functions` tell whether what is left out is Django's own. `otherwise` is Django's
    `URLResolver._reverse_with_prefix`, `safe` the class of text that needs no escaping.
    """

    def __init__(
        self, otherwise, ClassWatch watch not None, FunctionWatch functions not None, *,
        dict names not None, dict converters not None, safe,
    ):
        self.otherwise = otherwise
        self.watch = watch
        self.functions = functions
        self.names = names
        self.resolver, self.lookups = names["URLResolver"], names["MultiValueDict"]
        self.delimiters = names["RFC3986_SUBDELIMS"]
        self.safe = safe
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
            found = self.path(resolver, lookup_view, prefix, args, kwargs)
            if found is None:
                return self.otherwise(resolver, lookup_view, prefix, *args, **kwargs)
            return found

        return update_wrapper(reverse, self.otherwise)

    cdef str path(self, resolver, view, prefix, tuple args, dict kwargs):
        """The path of a view; None where Django has to find it, or say why not."""
        cdef PyObject *found
        if (
            type(resolver) is not self.resolver
            or type(prefix) is not str
            or (type(view) is not str and type(view) is not FunctionType)
            or (args and kwargs)
            or not holds(self.watch)
            or not functions_hold(self.functions)
            or self.names["re"] is not re
            or self.names["RFC3986_SUBDELIMS"] is not self.delimiters
            or own_value(self.of_resolver, resolver, 0) is not True
        ):
            return None
        for each in TAKEN:
            if each in kwargs:
                return None
        patterns = resolver.reverse_dict
        if type(patterns) is not self.lookups:
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
            elif kind is self.safe:
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

# What a regular expression says of all that it matches, without being run.
#
# In: a compiled one of Python's. Out: the text that each match begins and ends with, and
# whether that is all of it: then a path is compared with that, or need not be searched.

from re import Pattern, UNICODE


cdef extern from "Python.h":
    bint PyUnicode_Tailmatch(
        str text, str part, Py_ssize_t start, Py_ssize_t end, int direction
    ) except? -1


# What in a regular expression does not stand for itself.
cdef str SPECIAL = "\\.^$*+?{}[]|()"
cdef str REPEATS = "*+?{"
cdef tuple ENDS = ("\\Z", "\\z")
# As many as hardly any site has.
cdef Py_ssize_t KNOWN_REGEXES = 10_000


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
        # One of several alternatives is not in all, and a comment may stand between a
        # character and how often it is there.
        if "|" in text or "(?#" in text:
            return
        if regex.flags != UNICODE or not text.startswith("^"):
            return
        self.before, rest = literal_start(text[1:])
        self.whole = rest == ""
        self.closed = rest == "$"
        self.ended = rest in ENDS
        inside, _, rest = text.rpartition(")")
        if rest.endswith(ENDS) and not inside.endswith("\\"):
            after, rest = literal_start(rest[: len(rest) - 2])
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
cdef class RegexTexts:
    """What is known of regular expressions, by the address of each: they are held."""

    def __init__(self):
        self.known = {}

    cdef RegexText of(self, regex):
        """What is known of a regular expression; None where it is something else."""
        if type(regex) is not Pattern:
            return None
        key = PyLong_FromVoidPtr(<void *> <PyObject *> regex)
        cdef PyObject *found = PyDict_GetItemWithError(self.known, key)
        if found is NULL:
            if len(self.known) >= KNOWN_REGEXES:
                self.known.clear()
            self.known[key] = RegexText(regex)
            found = PyDict_GetItemWithError(self.known, key)
        cdef RegexText text = <RegexText> <object> found
        return text if text.is_text else None

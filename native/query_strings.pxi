# What a client has sent as text: a query string, the body of a form, its cookies.
#
# In: the text, as Django gives it to its own functions. Out: what they make of it.
# They are called for what is not ASCII, and where what they call has been replaced.

from libc.string cimport memchr, memcmp

cdef extern from "Python.h":
    Py_ssize_t PyDict_GET_SIZE(object values) noexcept
    bint PyBytes_CheckExact(object value) noexcept
    char *PyBytes_AS_STRING(object value) noexcept
    Py_ssize_t PyBytes_GET_SIZE(object value) noexcept
    object PyBytes_FromStringAndSize(const char *text, Py_ssize_t size)
    object PyUnicode_DecodeUTF8(
        const char *text, Py_ssize_t size, const char *errors
    )


cdef inline const char *sent_text(object value, Py_ssize_t *size) noexcept:
    """The characters of a str, or of bytes, if all of them are ASCII; else NULL."""
    cdef const char *text
    cdef Py_ssize_t i
    if not PyBytes_CheckExact(value):
        return ascii_text(value, size)
    text = PyBytes_AS_STRING(value)
    size[0] = PyBytes_GET_SIZE(value)
    for i in range(size[0]):
        if text[i] & 0x80:
            return NULL
    return text


cdef inline const char *end_of(const char *text, char mark, const char *end) noexcept:
    """Where the next mark is, `end` for none."""
    cdef const char *found = <const char *> memchr(text, mark, end - text)
    return end if found is NULL else found


cdef inline int digit_of(char letter) noexcept:
    """A hexadecimal digit's number, -1 for none."""
    if c"0" <= letter <= c"9":
        return letter - c"0"
    letter |= 0x20
    if c"a" <= letter <= c"f":
        return letter - c"a" + 10
    return -1


cdef object unquoted(const char *text, const char *end):
    """As urllib's `unquote_plus()` of ASCII."""
    cdef int first, second
    cdef char *at
    if end_of(text, c"+", end) == end and end_of(text, c"%", end) == end:
        return PyUnicode_DecodeUTF8(text, end - text, NULL)
    plain = PyBytes_FromStringAndSize(NULL, end - text)
    at = PyBytes_AS_STRING(plain)
    while text < end:
        at[0] = c" " if text[0] == c"+" else text[0]
        if text[0] == c"%" and end - text > 2:
            first, second = digit_of(text[1]), digit_of(text[2])
            if first >= 0 and second >= 0:
                at[0] = <char> (first << 4 | second)
                text += 2
        text += 1
        at += 1
    text = PyBytes_AS_STRING(plain)
    return PyUnicode_DecodeUTF8(text, at - text, "replace")


cdef int add_fields(dict values, const char *text, const char *end) except -1:
    """Add to `values`, which was empty, a list for each name of a query string."""
    cdef const char *stop
    cdef const char *equals
    cdef PyObject *found
    while text < end:
        stop = end_of(text, c"&", end)
        if stop > text:
            equals = end_of(text, c"=", stop)
            name = unquoted(text, equals)
            value = unquoted(equals + 1, stop) if equals < stop else ""
            found = PyDict_GetItemWithError(values, name)
            if found is NULL:
                values[name] = [value]
            else:
                (<list> found).append(value)
        text = stop + 1
    return 0


def query_dict_initialiser(
    kind, dict module not None, FunctionWatch functions not None,
    ClassWatch watch not None,
):
    """Return an `__init__` for `kind`, Django's QueryDict: as its own.

    `functions` holds while what it calls of its `module` is Django's, `watch` while its
    methods are.
    """
    otherwise = kind.__init__

    def __init__(instance, query_string=None, mutable=False, encoding=None):
        cdef const char *text = ""
        cdef const char *at
        cdef Py_ssize_t size = 0, fields = 1
        if (
            type(instance) is not kind
            or PyDict_GET_SIZE(instance)
            or not holds(watch)
            or not functions_hold(functions)
            or PyObject_GenericGetAttr(instance, "_mutable") is not True
        ):
            return otherwise(instance, query_string, mutable, encoding)
        if query_string is not None:
            text = sent_text(query_string, &size)
        if text is NULL:
            return otherwise(instance, query_string, mutable, encoding)
        if encoding is None:
            encoding = setting(module, "DEFAULT_CHARSET")
        if type(encoding) is not str or encoding != "utf-8":
            return otherwise(instance, query_string, mutable, encoding)
        most = setting(module, "DATA_UPLOAD_MAX_NUMBER_FIELDS")
        if most is not None:
            at = end_of(text, c"&", text + size)
            while at < text + size:
                fields += 1
                at = end_of(at + 1, c"&", text + size)
            if type(most) is not int or fields > most:
                return otherwise(instance, query_string, mutable, encoding)
        PyObject_GenericSetAttr(instance, "_encoding", encoding)
        add_fields(<dict> instance, text, text + size)
        PyObject_GenericSetAttr(instance, "_mutable", mutable)

    return __init__


cdef inline bint is_space(char letter) noexcept:
    """Whether `str.strip()` leaves it out."""
    return letter == c" " or 9 <= letter <= 13 or 28 <= letter <= 31


cdef object stripped(const char *text, const char *end):
    while text < end and is_space(text[0]):
        text += 1
    while text < end and is_space((end - 1)[0]):
        end -= 1
    return PyUnicode_DecodeUTF8(text, end - text, NULL)


def cookie_parser(otherwise, FunctionWatch functions not None):
    """Return what does as `otherwise`, Django's `parse_cookie()`.

    `functions` holds while `_unquote()` of `http.cookies` is Python's.
    """
    cdef dict module = otherwise.__globals__
    library = module["cookies"]
    cdef dict names = library.__dict__

    def parse_cookie(cookie):
        cdef Py_ssize_t size
        cdef const char *text = ascii_text(cookie, &size)
        cdef const char *end
        cdef const char *stop
        cdef const char *equals
        cdef dict found = {}
        if (
            text is NULL
            or module["cookies"] is not library
            or not functions_hold(functions)
        ):
            return otherwise(cookie)
        end = text + size
        while text < end:
            stop = end_of(text, c";", end)
            equals = end_of(text, c"=", stop)
            key = stripped(text, equals) if equals < stop else ""
            value = stripped(equals + 1 if equals < stop else text, stop)
            if key or value:
                if (<const char *> PyUnicode_DATA(value))[0] == c'"':
                    value = names["_unquote"](value)
                found[key] = value
            text = stop + 1
        return found

    return parse_cookie

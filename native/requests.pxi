# A request, as Django makes it of what the server says.
#
# In: a scope of ASGI, or a request with its META. Out: what Django's own methods set, or
# return. They are called for what a server does not say usually.

from cpython.object cimport Py_TYPE
from libc.string cimport memcpy

cdef extern from "Python.h":
    ctypedef struct ReadSlots "PyTypeObject":
        void *tp_getattro
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 most)
    object PyUnicode_DecodeLatin1(
        const char *text, Py_ssize_t size, const char *errors
    )
    bint PyMethod_Check(object value) noexcept
    PyObject *PyMethod_GET_FUNCTION(object method) noexcept


cdef object meta_key(bytes name):
    """What META has a header by; "" for one that it leaves out, None where Django says."""
    cdef const char *text = PyBytes_AS_STRING(name)
    cdef Py_ssize_t i, size = PyBytes_GET_SIZE(name)
    cdef char *at
    if name == b"content-length":
        return "CONTENT_LENGTH"
    if name == b"content-type":
        return "CONTENT_TYPE"
    key = PyUnicode_New(size + 5, 127)
    at = <char *> PyUnicode_DATA(key)
    memcpy(at, b"HTTP_", 5)
    at += 5
    for i in range(size):
        if text[i] & 0x80:
            return None
        if text[i] == c"_":
            return ""
        if text[i] == c"-":
            at[i] = c"_"
        elif c"a" <= text[i] <= c"z":
            at[i] = text[i] - 32
        else:
            at[i] = text[i]
    return key


cdef object header_value(bytes value, bint is_cookie):
    cdef const char *text = PyBytes_AS_STRING(value)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(value)
    while is_cookie and size and text[size - 1] in b"; ":
        size -= 1
    return PyUnicode_DecodeLatin1(text, size, NULL)


cdef inline bint is_pair(value) noexcept:
    return (
        (type(value) is tuple and len(<tuple> value) == 2)
        or (type(value) is list and len(<list> value) == 2)
    )


cdef inline bint is_upper(str text):
    cdef Py_ssize_t i, size
    cdef const char *at = ascii_text(text, &size)
    if at is NULL:
        return False
    for i in range(size):
        if not c"A" <= at[i] <= c"Z":
            return False
    return True


@cython.final
cdef class ScopeRequests:
    """What `kind`, Django's ASGIRequest, is made with: as by its own `__init__()`.

    For that, `functions` have to hold, which the module `asgi` has, and `parsers`; `watch`
    holds while the methods of `kind` are Django's, `names` are what it sets, in its order.
    `meta` has what META has, in that order, and None for the cookies' place. From 6.0
    they have one before other headers, and a separator of their own.
    """

    def __init__(
        self,
        kind,
        *,
        dict asgi not None,
        FunctionWatch functions not None,
        FunctionWatch parsers not None,
        ClassWatch watch not None,
        tuple names not None,
        bint cookies_first,
    ):
        check_class(kind)
        self.kind = kind
        self.asgi = asgi
        self.functions = functions
        self.parsers = parsers
        self.watch = watch
        self.names = names
        self.cookies_first = cookies_first
        # What META has a header by, by its name. Names are the clients' to choose: at 200
        # it is begun again. They mean the same always; making a key costs 300 instructions.
        self.keys = {}
        self.port = None, ""
        self.template = dict.fromkeys(META_KEYS)
        self.template["SCRIPT_NAME"] = ""
        self.template["wsgi.multithread"] = self.template["wsgi.multiprocess"] = True
        if not cookies_first:
            del self.template["HTTP_COOKIE"]
        find_places(kind, names, &self.places)

    cdef bint add_headers(self, dict meta, headers) except -1:
        """Add them to META; False if they are not as usual, or one is there twice."""
        cdef Py_ssize_t size
        cdef list cookies = None
        cdef bint is_cookie
        cdef PyObject *known
        if type(headers) is not list and type(headers) is not tuple:
            return False
        for header in tuple(headers):
            if not is_pair(header):
                return False
            name, value = header
            if type(name) is not bytes or type(value) is not bytes:
                return False
            known = PyDict_GetItemWithError(self.keys, name)
            key = self.new_key(name) if known is NULL else <object> known
            if key is None:
                return False
            if not <str> key:
                continue
            is_cookie = self.cookies_first and <str> key == "HTTP_COOKIE"
            value = header_value(value, is_cookie)
            if is_cookie:
                if cookies is None:
                    cookies = []
                cookies.append(value)
                continue
            size = PyDict_GET_SIZE(meta)
            meta[key] = value
            if PyDict_GET_SIZE(meta) == size:
                return False
        if cookies is not None:
            meta["HTTP_COOKIE"] = "; ".join(cookies)
        elif self.cookies_first:
            del meta["HTTP_COOKIE"]
        return True

    cdef object new_key(self, bytes name):
        key = meta_key(name)
        if len(self.keys) > 200:
            self.keys.clear()
        if key is not None and len(name) < 50:
            self.keys[name] = key
        return key

    cdef object text_of(self, port):
        """What `str()` says; None for what is neither a number nor one written out."""
        cdef tuple known = self.port
        if type(port) is str or port is None:
            return "None" if port is None else port
        if type(port) is not int:
            return None
        if known[0] != port:
            self.port = known = port, str(port)
        return known[1]

    cdef dict meta_of(self, dict scope):
        """What a request's META is, without a script's name; None where Django says."""
        cdef Py_ssize_t size
        cdef const char *text
        path, method = scope.get("path"), scope.get("method")
        query, root = scope.get("query_string", ""), scope.get("root_path")
        client, server = scope.get("client"), scope.get("server")
        if (
            type(path) is not str
            or type(method) is not str
            or type(query) is not str and type(query) is not bytes
            or root is not None and (type(root) is not str or root)
            or client is not None and not is_pair(client)
            or server is not None and not is_pair(server)
        ):
            return None
        if type(query) is bytes:
            text = sent_text(query, &size)
            if text is NULL:
                return None
            query = PyUnicode_DecodeUTF8(text, size, NULL)
        cdef dict meta = PyDict_Copy(self.template)
        meta["REQUEST_METHOD"] = method if is_upper(method) else (<str> method).upper()
        meta["QUERY_STRING"] = query
        meta["PATH_INFO"] = path
        if client is None:
            for name in ("REMOTE_ADDR", "REMOTE_HOST", "REMOTE_PORT"):
                del meta[name]
        else:
            host, port = client
            meta["REMOTE_ADDR"] = host
            meta["REMOTE_HOST"] = host
            meta["REMOTE_PORT"] = port
        host, port = ("unknown", "0") if server is None else server
        port = self.text_of(port)
        if port is None:
            return None
        meta["SERVER_NAME"] = host
        meta["SERVER_PORT"] = port
        if not self.add_headers(meta, scope.get("headers", ())):
            return None
        return meta

    cdef int set_parts(self, instance, tuple parts) except -1:
        """Set the attributes of a request, the first or all, in Django's order."""
        cdef PyObject **places = NULL
        cdef Py_ssize_t i
        if len(parts) == self.places.count:
            places = take_inline_values(instance, &self.places)
        for i in range(len(parts)):
            if places is NULL:
                PyObject_GenericSetAttr(instance, self.names[i], parts[i])
            else:
                places[self.places.places[i]] = Py_NewRef(
                    PyTuple_GET_ITEM(<PyObject *> parts, i)
                )
        return 0

    cdef bint fill(self, instance, scope, body_file) except -1:
        """Set what a scope says; False where Django has to do it."""
        cdef str content_type
        cdef tuple parts
        if (
            type(instance) is not self.kind
            or type(scope) is not dict
            or not holds(self.watch)
            or not functions_hold(self.functions)
            or setting(self.asgi, "FORCE_SCRIPT_NAME") is not None
        ):
            return False
        cdef dict meta = self.meta_of(<dict> scope)
        if meta is None:
            return False
        path, method = meta["PATH_INFO"], meta["REQUEST_METHOD"]
        content_type = meta.get("CONTENT_TYPE", "")
        if (
            len(content_type) < 100
            and ";" not in content_type
            and functions_hold(self.parsers)
        ):
            if content_type:
                content_type = content_type.strip().lower()
            parts = (
                scope, False, False, None, path, "", path, method, meta, content_type, {},
                body_file,
            )
            self.set_parts(instance, parts)
        else:
            parts = (scope, False, False, None, path, "", path, method, meta)
            self.set_parts(instance, parts)
            instance._set_content_type_params(meta)
            PyObject_GenericSetAttr(instance, "_stream", body_file)
            PyObject_GenericSetAttr(instance, "resolver_match", None)
        return True

    def initialiser(self):
        """Return the `__init__`."""
        otherwise = self.kind.__init__

        def __init__(request, scope, body_file):
            if not self.fill(request, scope, body_file):
                otherwise(request, scope, body_file)

        return __init__


cdef tuple META_KEYS = (
    *("REQUEST_METHOD", "QUERY_STRING", "SCRIPT_NAME", "PATH_INFO"),
    *("wsgi.multithread", "wsgi.multiprocess", "REMOTE_ADDR", "REMOTE_HOST"),
    *("REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "HTTP_COOKIE"),
)


cdef bint is_host(
    const char *text, Py_ssize_t size, char *domain, Py_ssize_t *length
) noexcept:
    """Whether it is a domain, put into `domain`, with or without a port.

    Up to 255 characters; not an address of IPv6.
    """
    cdef Py_ssize_t i = 0
    cdef char letter
    if size > 255:
        return False
    while i < size and text[i] != c":":
        letter = text[i] + 32 if c"A" <= text[i] <= c"Z" else text[i]
        if not (
            c"a" <= letter <= c"z" or c"0" <= letter <= c"9"
            or letter == c"-" or letter == c"."
        ):
            return False
        domain[i] = letter
        i += 1
    length[0] = i - 1 if i and domain[i - 1] == c"." else i
    if length[0] == 0 or i == size - 1:
        return False
    for i in range(i + 1, size):
        if not c"0" <= text[i] <= c"9":
            return False
    return True


cdef bint is_allowed(const char *domain, Py_ssize_t length, patterns) except -1:
    """Whether one of `settings.ALLOWED_HOSTS` says so; False where Django has to look."""
    cdef const char *pattern
    cdef Py_ssize_t i, size, offset
    cdef char letter
    if type(patterns) is not list and type(patterns) is not tuple:
        return False
    for each in tuple(patterns):
        pattern = ascii_text(each, &size)
        if pattern is NULL:
            return False
        if size == 1 and pattern[0] == c"*":
            return True
        if size and pattern[0] == c"." and length == size - 1:
            pattern += 1
            size -= 1
        offset = length - size
        if size == 0 or offset < 0 or (offset and pattern[0] != c"."):
            continue
        for i in range(size):
            letter = pattern[i] + 32 if c"A" <= pattern[i] <= c"Z" else pattern[i]
            if letter != domain[offset + i]:
                break
        else:
            return True
    return False


def host_getter(
    kind, dict module not None, FunctionWatch functions not None, str pattern not None
):
    """Return a `get_host` for `kind`, Django's HttpRequest: as its own.

    `functions` have to hold for that, which its `module` has, and `pattern` is what a
    host has to match by that.
    """
    otherwise, raw = kind.get_host, kind._get_raw_host
    matched = None

    def get_host(self):
        nonlocal matched
        cdef PyTypeObject *own = Py_TYPE(self)
        cdef const char *text
        cdef char[256] domain
        cdef Py_ssize_t size
        if (
            (<ReadSlots *> own).tp_getattro != <void *> PyObject_GenericGetAttr
            or _PyType_Lookup(own, "META") is not NULL
            or not functions_hold(functions)
        ):
            return otherwise(self)
        asked = module["host_validation_re"]
        if asked is not matched:
            if getattr(asked, "pattern", None) != pattern:
                return otherwise(self)
            matched = asked
        method = PyObject_GenericGetAttr(self, "_get_raw_host")
        if (
            not PyMethod_Check(method)
            or PyMethod_GET_FUNCTION(method) != <PyObject *> raw
            or setting(module, "USE_X_FORWARDED_HOST") is not False
        ):
            return otherwise(self)
        meta = PyObject_GenericGetAttr(self, "META")
        host = (<dict> meta).get("HTTP_HOST") if type(meta) is dict else None
        text = ascii_text(host, &size)
        if (
            text is NULL
            or not is_host(text, size, domain, &size)
            or not is_allowed(domain, size, setting(module, "ALLOWED_HOSTS"))
        ):
            return otherwise(self)
        return host

    return get_host


cdef inline bint is_empty(value) noexcept:
    return type(value) is str and not <str> value


def environ_readers(script_name, path_info, FunctionWatch functions not None):
    """Return what do as Django's `get_script_name()` and `get_path_info()` of WSGI.

    `functions`, which their module has, have to hold for that.
    """
    cdef dict module = script_name.__globals__

    def get_script_name(environ):
        cdef Py_ssize_t size
        if (
            type(environ) is dict
            and functions_hold(functions)
            and setting(module, "FORCE_SCRIPT_NAME") is None
            and is_empty((<dict> environ).get("SCRIPT_URL", ""))
            and is_empty((<dict> environ).get("REDIRECT_URL", ""))
        ):
            found = (<dict> environ).get("SCRIPT_NAME", "")
            if ascii_text(found, &size) is not NULL:
                return found
        return script_name(environ)

    def get_path_info(environ):
        cdef Py_ssize_t size
        if type(environ) is dict and functions_hold(functions):
            found = (<dict> environ).get("PATH_INFO", "/")
            if ascii_text(found, &size) is not NULL:
                return found
        return path_info(environ)

    return get_script_name, get_path_info

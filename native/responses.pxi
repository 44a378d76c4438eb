# A response and its content, as Django makes them and sends them.
#
# In: a response of Django's. Out: what its own method would do, which is called in any
# case but the usual one, before anything has been done.

cdef inline PyObject *of_class(instance, str name) noexcept:
    """What an instance's class has by a name, borrowed; NULL for nothing."""
    kind = type(instance)
    return _PyType_Lookup(<PyTypeObject *> kind, name)


cdef inline bint reads_as_objects(instance) noexcept:
    """Whether no method of its class is called for an attribute that it has."""
    kind = type(instance)
    return (<ClassAccess *> <PyObject *> kind).tp_getattro is generic_get


cdef inline bint is_next_class(instance, first, second):
    """Whether `super()` in class `first` is class `second`."""
    cdef tuple mro = mro_of(type(instance))
    cdef Py_ssize_t i
    for i in range(len(mro) - 1):
        if mro[i] is first:
            return mro[i + 1] is second
    return False


cdef inline bint is_number(PyObject *value) noexcept:
    return value is not NULL and type(<object> value) is int


@cython.final
cdef class JSONTexts:
    """What `json.dumps()` makes with the class `kind` and no other parameters.

    Of `json` and `json.encoder` the functions are in the dicts `names` and
    `encoder_names`; `watch` is for the class. A C encoder is used again: with the
    containers that it is in it notices circles, so by one at a time, and after an error
    never.
    """

    def __init__(
        self, kind, ClassWatch watch not None, dict names not None,
        dict encoder_names not None,
    ):
        self.kind = kind
        self.watch = watch
        self.names = names
        self.encoder_names = encoder_names
        self.dumps = names["dumps"]
        self.make = encoder_names["c_make_encoder"]
        self.escape = encoder_names["encode_basestring_ascii"]

    cdef object text(self, data):
        """Return the text of a dict or list; None where somebody else has to make it."""
        if (
            not holds(self.watch)
            or self.names["dumps"] is not self.dumps
            or self.encoder_names["c_make_encoder"] is not self.make
            or self.encoder_names["encode_basestring_ascii"] is not self.escape
        ):
            return None
        encode, self.spare = self.spare, None
        if encode is None:
            encode = self.make(
                {}, self.kind().default, self.escape, None, ": ", ", ", False, False, True
            )
        parts = encode(data, 0)
        self.spare = encode
        return "".join(parts)


@cython.final
cdef class ResponseMethods:
    """Methods of Django's responses: of `base`, of `kind` with a content, and of `json`.

    `names` are those of their module; `own` has what these classes have themselves.
    """

    def __init__(
        self, HeaderMethods headers not None, JSONTexts texts, *, base, kind, json,
        dict names not None, tuple own not None, json_module,
    ):
        self.headers = headers
        self.texts = texts
        self.base = base
        self.kind = kind
        self.json = json
        self.names = names
        self.reason_phrase, self.make_bytes, self.items = own
        self.json_module = json_module
        self.header_class = names["ResponseHeaders"]
        self.pattern = names["_charset_from_content_type_re"]
        # By types of content, at most a hundred: what the pattern finds in them.
        self.charsets = {}

    cdef bint begin(self, response, tuple args, dict kwargs) except -1:
        """Do what `__init__()` of `base` does; False, and nothing, where Django has to."""
        kind = type(response)
        access = <ClassAccess *> <PyObject *> kind
        content_type = status = charset = None
        if len(args) > 2:
            return False
        if len(args) > 0:
            content_type = args[0]
        if len(args) > 1:
            status = args[1]
        for name, value in kwargs.items():
            if name == "content_type" and len(args) < 1:
                content_type = value
            elif name == "status" and len(args) < 2:
                status = value
            elif name == "charset":
                charset = value
            elif value is not None or (name != "headers" and name != "reason"):
                return False
        if status is not None and (type(status) is not int or not 100 <= status <= 599):
            return False
        if (
            not reads_as_objects(response)
            or access.tp_setattro is not generic_set
            or of_class(response, "reason_phrase") != <PyObject *> self.reason_phrase
            or of_class(response, "headers") is not NULL
            or not is_number(of_class(response, "status_code"))
            or self.names["ResponseHeaders"] is not self.header_class
        ):
            return False
        headers = self.headers.new()
        if headers is None:
            return False
        response.headers = headers
        response._charset = charset
        if content_type is None:
            content_type = f"text/html; charset={response.charset}"
        headers = response.headers
        if not self.headers.set(headers, "Content-Type", content_type):
            headers["Content-Type"] = content_type
        response._resource_closers = []
        response._handler_class = None
        response.cookies = self.names["SimpleCookie"]()
        response.closed = False
        if status is not None:
            response.status_code = status
        response._reason_phrase = None
        return True

    def init_methods(self):
        """Return `__init__` of each of the classes."""
        base_before, before = self.base.__init__, self.kind.__init__
        json_before = self.json.__init__

        def init_base(response, *args, **kwargs):
            if not self.begin(response, args, kwargs):
                base_before(response, *args, **kwargs)

        def init(response, *args, **kwargs):
            if (
                not is_next_class(response, self.kind, self.base)
                or not is_of(self.base, init_base)
                or ("content" in kwargs and args)
            ):
                return before(response, *args, **kwargs)
            if args:
                content, args = args[0], args[1:]
            else:
                content = kwargs.pop("content", b"")
            if not self.begin(response, args, kwargs):
                base_before(response, *args, **kwargs)
            response.content = content

        def init_json(response, *args, **kwargs):
            text = None
            if (
                len(args) == 1
                and "content" not in kwargs
                and (
                    type(args[0]) is dict and type(kwargs.get("safe", True)) is bool
                    or type(args[0]) is list and kwargs.get("safe", True) is False
                )
                and "encoder" not in kwargs
                and kwargs.get("json_dumps_params") is None
                and self.texts is not None
                and self.names["json"] is self.json_module
                and is_next_class(response, self.json, self.kind)
                and is_next_class(response, self.kind, self.base)
                and is_of(self.kind, init)
                and is_of(self.base, init_base)
            ):
                text = self.texts.text(args[0])
            if text is None:
                return json_before(response, *args, **kwargs)
            kwargs.pop("safe", None)
            kwargs.pop("json_dumps_params", None)
            kwargs.setdefault("content_type", "application/json")
            if not self.begin(response, (), kwargs):
                base_before(response, **kwargs)
            response.content = text

        return init_base, init, init_json

    def charset_reader(self):
        """Return what reads `charset`."""
        def read(response):
            found = response._charset
            if found is not None:
                return found
            headers = response.headers
            content_type = self.headers.found(headers, "Content-Type")
            if content_type is UNUSUAL:
                content_type = headers.get("Content-Type")
            if content_type is not ABSENT and content_type:
                found = self.charset_in(content_type)
                if found is not None:
                    return found
            return self.names["settings"].DEFAULT_CHARSET

        return read

    cdef object charset_in(self, content_type):
        cdef PyObject *known
        pattern = self.names["_charset_from_content_type_re"]
        usual = type(content_type) is str and pattern is self.pattern
        if usual:
            known = PyDict_GetItemWithError(self.charsets, content_type)
            if known is not NULL:
                return <object> known
        matched = pattern.search(content_type)
        found = matched["charset"].replace('"', "") if matched else None
        if usual:
            if len(self.charsets) >= 100:
                self.charsets.clear()
            self.charsets[content_type] = found
        return found

    def content_setter(self, content):
        """Return what sets `content`."""
        before = content.fset

        def set(response, value):
            own = None
            if reads_as_objects(response) and (
                type(value) is bytes or isinstance(value, str)
            ):
                own = response.__dict__
            if (
                type(own) is not dict
                or "make_bytes" in <dict> own
                or of_class(response, "make_bytes") != <PyObject *> self.make_bytes
            ):
                return before(response, value)
            if type(value) is not bytes:
                charset = response.charset
                if type(value) is str and type(charset) is str and charset == "utf-8":
                    value = PyUnicode_AsUTF8String(value)
                else:
                    value = bytes(value.encode(charset))
            response._container = [value]
            (<dict> own).pop("text", None)

        return set

    def encoded_headers(self, response):
        """Return what is sent of a response at first: its headers.

        None if it has cookies, or no content, or is not as Django makes it.
        """
        cdef dict own, store
        cdef list sent = []
        if (
            not reads_as_objects(response)
            or of_class(response, "items") != <PyObject *> self.items
            or of_class(response, "streaming") != Py_False
            or of_class(response, "cookies") is not NULL
            or of_class(response, "headers") is not NULL
        ):
            return None
        own = <dict?> PyObject_GenericGetDict(response, NULL)
        cookies = own.get("cookies")
        if (
            "items" in own
            or "streaming" in own
            or type(cookies) is not self.names["SimpleCookie"]
            or cookies
        ):
            return None
        headers = own.get("headers")
        if type(headers) is not self.header_class:
            return None
        store = self.headers.store(headers)
        if store is None:
            return None
        for key, entry in store.items():
            if not is_pair(entry):
                return None
            name, value = entry
            if (
                type(key) is not str
                or type(name) is not str
                or not PyUnicode_IS_ASCII(name)
                or (<str> name).lower() != key
                or type(value) is not str
                or PyUnicode_KIND(value) != 1
            ):
                return None
            sent.append((PyUnicode_AsASCIIString(name), PyUnicode_AsLatin1String(value)))
        return sent


cdef inline bint is_of(kind, init):
    """Whether a class is made by `init` now."""
    return (<dict> (<ClassStruct *> kind).tp_dict).get("__init__") is init

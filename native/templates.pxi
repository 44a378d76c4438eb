# A variable of a template: found in its context, through filters, as text.
#
# In: Django's node, expression or variable, and a context of Django's own. Out: what
# Django's method would return, or raise. That is called in any case but the usual one;
# what a template asks of objects it asks in Django's order, and as often.

cdef extern from *:
    """
    #define is_traced() (PyThreadState_Get()->c_tracefunc != NULL)
    static inline int has_plain_attributes(PyObject *kind)
    {
        return ((PyTypeObject *)kind)->tp_getattro == PyObject_GenericGetAttr;
    }
    static inline int has_plain_class_attributes(PyTypeObject *kind)
    {
        return kind->tp_getattro == PyType_Type.tp_getattro;
    }
    static inline PyObject *raised_error(void)
    {
    #if PY_VERSION_HEX >= 0x030C0000
        return PyErr_GetRaisedException();
    #else
        PyObject *kind, *error, *traceback;
        PyErr_Fetch(&kind, &error, &traceback);
        PyErr_NormalizeException(&kind, &error, &traceback);
        if (traceback != NULL)
            PyException_SetTraceback(error, traceback);
        Py_XDECREF(kind);
        Py_XDECREF(traceback);
        return error;
    #endif
    }
    static inline void raise_as_it_is(PyObject *error)
    {
    #if PY_VERSION_HEX >= 0x030C0000
        PyErr_SetRaisedException(Py_NewRef(error));
    #else
        PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), Py_NewRef(error), NULL);
    #endif
    }
    /* An attribute, as in an `except` clause, where `error` is what others have as
     * their context. What its class has is not found in one of `contexts`. */
    static PyObject *
    get_while_handled(PyObject *error, PyObject *o, PyObject *name, PyObject *contexts)
    {
        _PyErr_StackItem *top = PyThreadState_Get()->exc_info;
        PyObject *found = NULL, *before = top->exc_value;
        top->exc_value = Py_NewRef(error);
        int hidden = PyObject_IsInstance(o, contexts);
        if (hidden == 1) {
            PyObject *of_class = PyObject_GetAttr((PyObject *)Py_TYPE(o), name);
            hidden = of_class == NULL ? -1 : PyObject_IsTrue(of_class);
            Py_XDECREF(of_class);
            if (hidden == 1)
                PyErr_SetNone(PyExc_AttributeError);
        }
        if (hidden == 0)
            found = PyObject_GetAttr(o, name);
        top = PyThreadState_Get()->exc_info;
        PyObject *after = top->exc_value;
        top->exc_value = before;
        Py_XDECREF(after);
        return found;
    }
    """
    bint is_traced() noexcept
    bint has_plain_attributes(object kind) noexcept
    bint has_plain_class_attributes(PyTypeObject *kind) noexcept
    object raised_error()
    void raise_as_it_is(object error) noexcept
    PyObject *get_while_handled(
        object error, object o, object name, object contexts
    ) noexcept


cdef extern from "Python.h":
    PyObject *look_up_item "PyObject_GetItem"(object values, object key) noexcept
    PyObject *in_dict "PyDict_GetItemWithError"(object values, object key) noexcept
    PyObject *PyErr_Occurred() noexcept
    bint PyErr_ExceptionMatches(object kinds) noexcept
    bint PyUnicode_IsIdentifier(object text) noexcept
    void PyException_SetContext(object error, PyObject *context) noexcept
    PyObject *PyErr_GetHandledException() noexcept


cdef object MISSING = object()
cdef object ODD = object()
cdef object CLASS_OF_OBJECT = object.__dict__["__class__"]
cdef tuple NO_ITEM = (TypeError, AttributeError, KeyError, ValueError, IndexError)


cdef inline bint lacks_items(kind):
    """Whether a class, and what it is an instance of, has no `__getitem__`."""
    cdef PyTypeObject *meta
    above = type(kind)
    meta = <PyTypeObject *> above
    return (
        _PyType_Lookup(<PyTypeObject *> kind, "__getitem__") is NULL
        and has_plain_class_attributes(meta)
        and _PyType_Lookup(meta, "__getitem__") is NULL
    )


cdef inline bint is_index(bit) noexcept:
    """Whether this is a small number in digits."""
    if type(bit) is not str or not 0 < len(<str> bit) < 10:
        return False
    for each in <str> bit:
        if not 48 <= each <= 57:
            return False
    return True


cdef inline bint is_filled_tuple(lookups) noexcept:
    """Whether these are lookups as Django makes them."""
    return (
        type(lookups) is tuple and PyTuple_GET_SIZE(<PyObject *> lookups) > 0
    )


cdef object found_in(list dicts, str key, kind):
    """What a context has by a name; MISSING for nothing, ODD where Django has to look.

    `kind` is the class of its own dicts; others may do anything when they are asked.
    """
    cdef PyObject *found
    cdef Py_ssize_t i
    for i in range(len(dicts) - 1, -1, -1):
        each = dicts[i]
        if type(each) is not dict and type(each) is not kind:
            return ODD
        found = in_dict(each, key)
        if found is not NULL:
            return <object> found
        if PyErr_Occurred() is not NULL:
            PyErr_Clear()
            return ODD
    return MISSING


cdef inline list dicts_of(context):
    """The dicts of a context, None where it can tell that it is asked for them."""
    kind = type(context)
    if (
        not has_plain_attributes(kind)
        or _PyType_Lookup(<PyTypeObject *> kind, "dicts") is not NULL
    ):
        return None
    dicts = context.dicts
    return dicts if type(dicts) is list else None


cdef int set_in(context, key, value, unsigned long long since) except -1:
    """Set a variable in the last dict of a context."""
    if changes != since:
        context[key] = value
        return 0
    dicts = context.dicts
    last = dicts[len(dicts) - 1]
    last[key] = value
    return 0


cdef bint renders_itself(node) except -1:
    """Whether a node was given a method of its own to render it."""
    cdef dict own = PyObject_GenericGetDict(node, NULL)
    return "render" in own or "render_annotated" in own


cdef object new_type_error():
    """A TypeError that is not raised: most attributes are found, and nobody sees it."""
    error = TypeError()
    PyException_SetContext(error, PyErr_GetHandledException())
    return error


cdef int give_traceback(error) except -1:
    """Have an error been raised; pages of errors show where each of them was."""
    raise_as_it_is(error)
    try:
        propagate_error()
    except TypeError as raised:  # which is what gives it one
        if raised is not error:
            raise
    return 0


@cython.final
cdef class TemplateMethods:
    """Methods of Django's template variables, expressions, nodes and contexts.

    `base` is the module of theirs, `contexts` and `context_dict` are the classes of
    contexts, `safe` is that of text which needs no escaping, `logs` are the methods
    `debug` and `isEnabledFor` of `logger_class`. `watch` and `functions` tell whether
    what is left out is Django's own, `nodes` that of nodes; `has_length` whether a loop
    says how long it is. `methods` is for asgiref's locals, or None; the other dicts are
    of the modules that make text of numbers.
    """

    def __init__(
        self, dict base not None, tuple contexts not None, context_dict, safe,
        logger_class, tuple logs not None, ClassWatch watch not None,
        FunctionWatch functions not None,
        LocalMethods methods, dict formats not None, dict numbers not None,
        dict translation not None, dict translations not None,
        dict untranslated not None, debugger, ClassWatch nodes not None, loop,
        bint has_length,
    ):
        self.base = base
        self.variable, self.expression = base["Variable"], base["FilterExpression"]
        self.node, self.base_context = base["VariableNode"], base["BaseContext"]
        self.context, self.request_context = contexts
        self.context_dict = context_dict
        self.logger_class = logger_class
        self.debug, self.is_enabled = logs
        self.safe = safe
        self.watch = watch
        self.functions = functions
        self.methods = methods
        self.formats = formats
        self.numbers = numbers
        self.translation = translation
        self.translations = translations
        self.untranslated = untranslated
        self.debugger = debugger
        self.nodes = nodes
        self.text_node, self.node_list = base["TextNode"], base["NodeList"]
        self.loop, self.has_length = loop, has_length

    cdef bint is_usual(self, context) except -1:
        """Whether nobody can tell who does it: a context, and code, of Django's own."""
        kind = type(context)
        if (kind is not self.request_context and kind is not self.context) or not (
            holds(self.watch) and functions_hold(self.functions)
        ):
            return False
        engine = getattr(context.template, "engine", None)
        return (
            # Pages of errors, and tools, look in Django's frames then.
            engine is not None
            and engine.debug is False
            and not is_traced()
            and (self.debugger is None or self.debugger(0) is None)
            and not self.is_logged()
        )

    cdef bint is_logged(self) except -1:
        """Whether failed lookups are: who logs them, and where, is in the record."""
        cdef PyObject *enabled
        logger = self.base["logger"]
        if (
            type(logger) is not self.logger_class
            or _PyType_Lookup(<PyTypeObject *> self.logger_class, "isEnabledFor")
            != <PyObject *> self.is_enabled
        ):
            return True
        values = logger._cache
        if type(values) is dict:
            enabled = PyDict_GetItemWithError(<dict> values, 10)
            if enabled is not NULL:
                return <object> enabled is not False
        return "isEnabledFor" in logger.__dict__ or logger.isEnabledFor(10)

    # ----- lookups

    cdef object in_context(self, context, bit):
        """What a context of Django's has by a name, or MISSING, or ODD."""
        cdef list dicts = dicts_of(context)
        if dicts is None or type(bit) is not str:
            return ODD
        return found_in(dicts, <str> bit, self.context_dict)

    cdef bint is_just_missing(self, context, bit) except -1:
        """Whether nothing but Django's own errors tell that a name is not in a context.

        It looks in the context's class, for a number, and for who logs that.
        """
        logger, kind = self.base["logger"], type(context)
        own = logger.__dict__
        return (
            type(logger) is self.logger_class
            and "debug" not in own
            and "isEnabledFor" not in own
            and not self.is_logged()
            and _PyType_Lookup(<PyTypeObject *> self.logger_class, "debug")
            == <PyObject *> self.debug
            and _PyType_Lookup(<PyTypeObject *> kind, bit) is NULL
            and PyUnicode_IsIdentifier(bit)
        )

    cdef object looked_up(self, current, context, tuple lookups):
        """What a variable is, of which `current` is the first part."""
        cdef Py_ssize_t i
        bit = lookups[0]
        try:
            if callable(current):
                current = self.called(current, context)
            for i in range(1, len(lookups)):
                bit = lookups[i]
                current = self.looked_into(current, bit)
                if callable(current):
                    current = self.called(current, context)
        except Exception as error:
            name = getattr(context, "template_name", None) or "unknown"
            self.base["logger"].debug(
                "Exception while resolving variable '%s' in template '%s'.",
                bit, name, exc_info=True,
            )
            if getattr(error, "silent_variable_failure", False):
                return context.template.engine.string_if_invalid
            raise
        return current

    cdef object looked_into(self, current, bit):
        """What an object has by a name: an item, an attribute, or one in a sequence."""
        cdef PyObject *found
        cdef Py_ssize_t at
        kind, error = type(current), None
        if kind is dict and type(bit) is str:
            found = in_dict(current, bit)
            if found is not NULL:
                return <object> found
            if PyErr_Occurred() is NULL:
                value = getattr(current, bit, MISSING)
                if value is not MISSING:
                    return value
            elif PyErr_ExceptionMatches(NO_ITEM):
                error = raised_error()
            else:
                propagate_error()
        elif (kind is list or kind is tuple) and is_index(bit):
            at = int(bit)
            if at < len(current):
                return current[at]
        if error is None and not lacks_items(kind):
            try:
                has_items = hasattr(kind, "__getitem__")
            except NO_ITEM as raised:
                error, has_items = raised, False
            if has_items:
                found = look_up_item(current, bit)
                if found is not NULL:
                    return steal_reference(found)
                if not PyErr_ExceptionMatches(NO_ITEM):
                    propagate_error()
                error = raised_error()
        if self.is_just_its_own(kind, bit):
            value = getattr(current, bit, MISSING)
            if value is not MISSING:
                return value
        lacks = error is None
        if lacks:
            error = new_type_error()
        found = get_while_handled(error, current, bit, self.base_context)
        if found is not NULL:
            return steal_reference(found)
        return self.without_attribute(current, bit, error if lacks else None)

    cdef bint is_just_its_own(self, kind, bit) except -1:
        """Whether nothing but an object's own dict tells what it has by a name."""
        return (
            type(bit) is str
            and has_plain_attributes(kind)
            and _PyType_Lookup(<PyTypeObject *> kind, bit) is NULL
            and _PyType_Lookup(<PyTypeObject *> kind, "__class__")
            == <PyObject *> CLASS_OF_OBJECT
            and not issubclass(kind, self.base_context)
        )

    cdef object without_attribute(self, current, bit, unraised):
        """What comes after an attribute has not been found, as an error tells.

        `unraised` is the one before it, if that has not been raised.
        """
        try:
            propagate_error()
        except Exception as error:
            if unraised is not None:
                give_traceback(unraised)
            if not isinstance(error, (TypeError, AttributeError)):
                raise
            if not isinstance(current, self.base_context) and bit in dir(current):
                raise
            try:
                return current[int(bit)]
            except (IndexError, ValueError, KeyError, TypeError):
                raise self.base["VariableDoesNotExist"](
                    "Failed lookup for key [%s] in %r", (bit, current)
                )

    cdef object called(self, current, context):
        """What is in a variable's place that can be called."""
        if getattr(current, "do_not_call_in_templates", False):
            return current
        if getattr(current, "alters_data", False):
            return context.template.engine.string_if_invalid
        try:
            return current()
        except TypeError:
            try:
                signature = self.base["signature"](current)
            except ValueError:
                return context.template.engine.string_if_invalid
            try:
                signature.bind()
            except TypeError:
                return context.template.engine.string_if_invalid
            raise

    # ----- expressions

    cdef object resolved(self, expression, context, bint ignore_failures):
        """What an expression is, its filters applied."""
        value = expression.var
        if expression.is_var:
            found = self.variable_value(value, context)
            if found is MISSING:
                if ignore_failures:
                    found = None
                else:
                    found = context.template.engine.string_if_invalid
                    if found:
                        return found % value if "%s" in found else found
            value = found
        filters = expression.filters
        if type(filters) is list and not <list> filters:
            return value
        return self.filtered(value, filters, context)

    cdef object variable_value(self, variable, context):
        """What a variable is, MISSING where there is none."""
        if type(variable) is not self.variable or variable.translate:
            return self.asked(variable, context)
        lookups = variable.lookups
        if lookups is None:
            return variable.literal
        if not is_filled_tuple(lookups):
            return self.asked(variable, context)
        bit = lookups[0]
        found = self.in_context(context, bit)
        if found is MISSING and self.is_just_missing(context, bit):
            return MISSING
        if found is MISSING or found is ODD:
            return self.asked(variable, context)
        if PyTuple_GET_SIZE(<PyObject *> lookups) == 1 and not callable(found):
            return found
        try:
            return self.looked_up(found, context, lookups)
        except self.base["VariableDoesNotExist"]:
            return MISSING

    cdef object asked(self, variable, context):
        try:
            return variable.resolve(context)
        except self.base["VariableDoesNotExist"]:
            return MISSING

    cdef object filtered(self, value, filters, context):
        cdef list values
        for function, arguments in filters:
            values = []
            for is_variable, each in arguments:
                if is_variable:
                    each = each.resolve(context)
                elif type(each) is not self.safe:
                    each = self.base["mark_safe"](each)
                values.append(each)
            if getattr(function, "expects_localtime", False):
                value = self.base["template_localtime"](value, context.use_tz)
            if getattr(function, "needs_autoescape", False):
                new = function(value, *values, autoescape=context.autoescape)
            else:
                new = function(value, *values)
            if getattr(function, "is_safe", False) and isinstance(
                value, self.base["SafeData"]
            ):
                new = self.base["mark_safe"](new)
            value = new
        return value

    # ----- text

    cdef object shown(self, value, context):
        """A value's text in a page."""
        kind = type(value)
        if kind is self.safe:
            return value
        if kind is str:
            return self.escaped(<str> value) if context.autoescape else value
        if kind is int:
            language = context.use_l10n
            if language is False:
                value = str(value)
                return self.escaped(<str> value) if context.autoescape else value
            if (language is None or language is True) and self.has_no_separators():
                return self.safe(value)
        elif kind is bool or value is None:
            value = str(value)
            return self.escaped(<str> value) if context.autoescape else value
        return self.base["render_value_in_context"](value, context)

    cdef object escaped(self, str text):
        """Text of class `safe`, for HTML."""
        for each in text:
            if each in u"&<>\"'":
                break
        else:
            return self.safe(text)
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return self.safe(text.replace('"', "&quot;").replace("'", "&#x27;"))

    cdef bint has_no_separators(self) except -1:
        """Whether a whole number is just its digits, and Django has looked before.

        Then the formats of the language are kept: those are found by their last.
        """
        if self.numbers["settings"].USE_THOUSAND_SEPARATOR is not False:
            return False
        language = self.language()
        kept = self.formats["_format_cache"]
        return language is not MISSING and ("THOUSAND_SEPARATOR", language) in kept

    cdef object language(self):
        """The language of now, MISSING where Django has to be asked."""
        ask = self.translation["_trans"].__dict__.get("get_language")
        if ask is self.untranslated["get_language"]:
            return self.untranslated["settings"].LANGUAGE_CODE
        if ask is not self.translations["get_language"]:
            return MISSING
        active = self.translations["_active"]
        current = local_value(self.methods, active, "value", None)
        if current is None:
            return self.translations["settings"].LANGUAGE_CODE
        if type(current) is not self.translations["DjangoTranslation"]:
            return MISSING
        own = <dict> PyObject_GenericGetDict(current, NULL)
        if "to_language" in own:
            return MISSING
        return own.get("_DjangoTranslation__to_language", MISSING)

    # ----- nodes

    cdef object rendered(self, node, context, unsigned long long since):
        """A variable's text."""
        expression = node.filter_expression
        try:
            if type(expression) is self.expression:
                value = self.resolved(expression, context, False)
            else:
                value = expression.resolve(context)
        except UnicodeDecodeError:
            return ""
        if changes != since:
            return self.base["render_value_in_context"](value, context)
        return self.shown(value, context)

    cdef int add_texts(
        self, list texts, nodes, context, unsigned long long since
    ) except -1:
        """Add what is rendered of each node.

        It was the usual case when `changes` were `since`; nodes may change that.
        """
        for node in nodes:
            kind = type(node)
            if (
                (kind is not self.text_node and kind is not self.node)
                or renders_itself(node)
                or changes != since
                or is_traced()
            ):
                text = node.render_annotated(context)
            elif kind is self.text_node:
                text = node.s
            else:
                text = self.rendered(node, context, since)
            texts.append(text)
        return 0

    cdef object looped(self, node, context, parent, unsigned long long since):
        """What `{% for %}` renders."""
        cdef Py_ssize_t i = 0, length, size
        cdef list texts = []
        cdef dict loop
        with context.push():
            sequence = node.sequence
            if type(sequence) is self.expression:
                values = self.resolved(sequence, context, True)
            else:
                values = sequence.resolve(context, ignore_failures=True)
            if values is None:
                values = []
            if not hasattr(values, "__len__"):
                values = list(values)
            length = len(values)
            if length < 1:
                return node.nodelist_empty.render(context)
            if node.is_reversed:
                values = reversed(values)
            size = len(node.loopvars)
            loop = {"parentloop": parent}
            if self.has_length:
                loop["length"] = length
            set_in(context, "forloop", loop, since)
            for item in values:
                loop["counter0"] = i
                loop["counter"] = i + 1
                loop["revcounter"] = length - i
                loop["revcounter0"] = length - i - 1
                loop["first"] = i == 0
                loop["last"] = i == length - 1
                if size > 1:
                    self.unpack(node.loopvars, size, item, context)
                    self.add_texts(texts, node.nodelist_loop, context, since)
                    context.pop()
                else:
                    set_in(context, node.loopvars[0], item, since)
                    self.add_texts(texts, node.nodelist_loop, context, since)
                i += 1
        return self.safe("".join(texts))

    cdef int unpack(self, names, Py_ssize_t size, item, context) except -1:
        cdef Py_ssize_t found
        try:
            found = len(item)
        except TypeError:  # it has none
            found = 1
        if size != found:
            raise ValueError(
                f"Need {size} values to unpack in for loop; got {found}. "
            )
        context.update(dict(zip(names, item)))
        return 0

    # ----- what replaces Django's methods

    def of_templates(self):
        """Return `_resolve_lookup`, `resolve` of an expression, `render` of a node."""
        look, resolve_before, render_before = (
            self.variable._resolve_lookup, self.expression.resolve, self.node.render
        )

        def resolve_lookup(variable, context):
            if type(variable) is self.variable and self.is_usual(context):
                lookups = variable.lookups
                if is_filled_tuple(lookups):
                    found = self.in_context(context, lookups[0])
                    if found is not MISSING and found is not ODD:
                        return self.looked_up(found, context, lookups)
            return look(variable, context)

        def resolve(expression, context, ignore_failures=False):
            if type(expression) is not self.expression or not self.is_usual(context):
                return resolve_before(expression, context, ignore_failures)
            return self.resolved(expression, context, bool(ignore_failures))

        def render(node, context):
            cdef unsigned long long since = changes
            if type(node) is not self.node or not self.is_usual(context):
                return render_before(node, context)
            return self.rendered(node, context, since)

        return resolve_lookup, resolve, render

    def of_nodes(self):
        """Return `render` of a list of nodes, and of a loop."""
        list_before, loop_before = self.node_list.render, self.loop.render

        def render_list(nodes, context):
            cdef list texts = []
            cdef unsigned long long since = changes
            if (
                type(nodes) is not self.node_list
                or not self.is_usual(context)
                or not holds(self.nodes)
            ):
                return list_before(nodes, context)
            self.add_texts(texts, nodes, context, since)
            return self.safe("".join(texts))

        def render_loop(node, context):
            cdef unsigned long long since = changes
            if (
                type(node) is not self.loop
                or not self.is_usual(context)
                or not holds(self.nodes)
            ):
                return loop_before(node, context)
            parent = self.in_context(context, "forloop")
            if parent is ODD:
                return loop_before(node, context)
            if parent is MISSING:
                parent = {}
            return self.looped(node, context, parent, since)

        return render_list, render_loop

    def of_contexts(self):
        """Return `__getitem__`, `__contains__`, `__setitem__` and `get`."""
        kind = self.base_context
        get_before, contains_before = kind.__getitem__, kind.__contains__
        set_before, look_before = kind.__setitem__, kind.get

        def get_item(context, key):
            found = self.kept(context, key)
            if found is MISSING or found is ODD:
                return get_before(context, key)
            return found

        def contains(context, key):
            found = self.kept(context, key)
            return contains_before(context, key) if found is ODD else found is not MISSING

        def set_item(context, key, value):
            cdef list dicts = dicts_of(context)
            if not dicts:
                return set_before(context, key, value)
            last = dicts[len(dicts) - 1]
            last[key] = value

        def get(context, key, otherwise=None):
            found = self.kept(context, key)
            if found is ODD:
                return look_before(context, key, otherwise)
            return otherwise if found is MISSING else found

        return get_item, contains, set_item, get

    cdef object kept(self, context, key):
        if type(key) is not str or not holds(self.watch):
            return ODD
        return self.in_context(context, key)

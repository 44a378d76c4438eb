# Model instances, as django.db.models.query.ModelIterable makes them.
#
# In: the decoded values of a row, and the row plan.
# Out: a model instance with its related ones.
# Next: the caller's loop.

cdef extern from *:
    object PyObject_GenericGetDict(object obj, void *context)
    int PyObject_SetAttr(object obj, object name, object value) except -1
    object PyWeakref_NewRef(object obj, PyObject *callback)
    PyObject *Py_False
    PyObject *PyDict_GetItemWithError(dict d, object key) except? NULL
    object PyList_New(Py_ssize_t size)
    void PyList_SET_ITEM(PyObject *items, Py_ssize_t index, PyObject *value) noexcept

cdef extern from "inline_values.h":
    PyObject **take_inline_values(object obj, const inline_places *places) noexcept
    int find_inline_places(
        object probe, tuple names, tuple marks, inline_places *places
    ) except -1


cdef inline object allocate(object cls):
    """As object.__new__, for a class that `check_class` has passed."""
    return (<ClassStruct *> cls).tp_alloc(<PyTypeObject *> cls, 0)


cdef int check_class(cls) except -1:
    if not isinstance(cls, type):
        raise TypeError(f"expected a class to allocate, got {cls!r}")
    # It refuses what has a layout of its own or is abstract.
    getattr(object, "__new__")(cls)
    return 0


cdef int find_places(object cls, tuple names, inline_places *places) except -1:
    """Where a new instance of `cls` keeps attributes that are set in this order."""
    # Dicts as marks: what ModelState.__del__ finds as `fields_cache` it clears.
    find_inline_places(allocate(cls), names, tuple([{} for _ in names]), places)
    return 0


# The places last found in a class of states.
cdef tuple state_known = None
cdef inline_places known_state_places


@cython.final
cdef class ModelPlan(Plan):
    """An instance of `model`: allocated and filled, or made by `from_db` when given.

    Allocating skips `Model.__init__`, and empty instances are looked at beforehand:
    whether the class can tell is the caller's to know. `columns` are (attname, column)
    in the order of the model's fields; deferred ones are left out. A plan is for one
    run of one query: with `track_peers` all it builds are peers.
    """

    def __init__(
        self,
        Py_ssize_t width,
        *,
        model,
        db,
        columns,
        Py_ssize_t pk_column,
        state_class=None,
        fetch_mode=None,
        bint track_peers=False,
        from_db=None,
        annotations=(),
        relations=(),
        known=(),
        **common,
    ):
        Plan.__init__(self, width=width, **common)
        if from_db is None:
            check_class(model)
            check_class(state_class)
        self.model = model
        self.state_class = state_class
        self.db = db
        self.fetch_mode = fetch_mode
        self.from_db = from_db
        self.peers = [] if track_peers else None
        self.pk_column = pk_column
        self.check_column(pk_column)
        self.set_columns(list(columns))
        self.annotations = tuple([_Annotation(*given) for given in annotations])
        for annotation in self.annotations:
            self.check_column((<_Annotation> annotation).column)
        self.set_relations(tuple(relations))
        self.known = tuple(known)
        for item in self.known:
            if type(item) is not KnownRelated:
                raise TypeError(f"known takes KnownRelated, not {item!r}")
        self.uses_state = track_peers or any(
            [(<Relation> relation).local_cache is not None for relation in self.relations]
        )
        self.bare = not (track_peers or self.annotations or self.relations or self.known)
        self.takes = self.bare and len({column for _, column in columns}) == len(columns)
        if self.converters is not None:
            self.hand_over_lists()
        if from_db is None:
            self.find_places()

    def __dealloc__(self):
        PyMem_Free(self.slots)

    cdef int set_columns(self, list columns) except -1:
        self.attnames = [intern(name) for name, _ in columns]
        self.slots = <Slot *> PyMem_Malloc(max(len(columns), 1) * sizeof(Slot))
        if self.slots is NULL:
            raise MemoryError()
        for i, (_, column) in enumerate(columns):
            self.check_column(column)
            self.slots[i].column = column
            self.slots[i].name = <PyObject *> self.attnames[i]
        self.slot_count = len(columns)
        return 0

    cdef int set_relations(self, tuple relations) except -1:
        cdef ModelPlan plan
        for item in relations:
            if type(item) is not Relation:
                raise TypeError(f"relations takes Relation, not {item!r}")
            plan = (<Relation> item).plan
            if plan.width != self.width:
                raise ValueError(
                    f"a relation's plan is for rows of {plan.width}, not of {self.width}"
                )
            if plan.converters is not None:
                raise ValueError("converters belong to the outermost plan")
        self.relations = relations
        return 0

    cdef int find_places(self) except -1:
        # Of the state once, as it is always ModelState: looking takes 3 us.
        global state_known
        cdef tuple names = ("adding", "db")
        cdef tuple wanted
        if self.fetch_mode is not None:
            names += ("fetch_mode",)
        wanted = (self.state_class, names)
        if wanted != state_known:
            find_places(self.state_class, names, &known_state_places)
            state_known = wanted
        self.state_places = known_state_places
        find_places(self.model, ("_state", *self.attnames), &self.places)
        return 0

    cdef void hand_over_lists(self):
        # With converters Django's rows are lists, and so are the slices from_db gets.
        self.lists = True
        for relation in self.relations:
            (<Relation> relation).plan.hand_over_lists()

    cdef object build(self, PyObject **row):
        return self.make(row, self.takes, None, None)

    cdef object make(self, PyObject **row, bint take, str owner_cache, object owner):
        """The instance; when `owner_cache` is given, it has `owner` cached under that.

        `take` moves the row's references into the instance instead of sharing them.
        """
        cdef object obj, state = None
        if self.from_db is not None:
            obj = self.call_from_db(row)
            if self.uses_state or owner_cache is not None:
                state = obj._state
        else:
            state = self.new_state()
            obj = self.new_instance(row, state, take)
        if not self.bare or owner_cache is not None:
            self.complete(row, obj, state, owner_cache, owner)
        return obj

    cdef object call_from_db(self, PyObject **row):
        # Not a comprehension: without memory for the next item, Cython 3.3 gives it back
        # twice.
        cdef object values = PyList_New(self.slot_count)
        cdef Py_ssize_t i
        for i in range(self.slot_count):
            PyList_SET_ITEM(<PyObject *> values, i, Py_NewRef(row[self.slots[i].column]))
        return self.from_db(
            self.db, self.attnames, values if self.lists else tuple(values)
        )

    cdef object new_state(self):
        cdef object state = allocate(self.state_class)
        cdef const uint8_t *place = self.state_places.places
        cdef PyObject **values = take_inline_values(state, &self.state_places)
        if values is NULL:
            self.set_state(state)
            return state
        values[place[0]] = Py_NewRef(Py_False)
        values[place[1]] = Py_NewRef(<PyObject *> self.db)
        if self.fetch_mode is not None:
            values[place[2]] = Py_NewRef(<PyObject *> self.fetch_mode)
        return state

    cdef int set_state(self, object state) except -1:
        # In the order in which Model.__init__ and from_db set them.
        PyObject_SetAttr(state, "adding", False)
        PyObject_SetAttr(state, "db", self.db)
        if self.fetch_mode is not None:
            PyObject_SetAttr(state, "fetch_mode", self.fetch_mode)
        return 0

    cdef object new_instance(self, PyObject **row, object state, bint take):
        cdef object obj = allocate(self.model)
        cdef PyObject **values = take_inline_values(obj, &self.places)
        cdef const uint8_t *place = self.places.places
        cdef Slot *slot = self.slots
        cdef Slot *end = slot + self.slot_count
        if values is NULL:
            self.set_attributes(obj, row, state)
            return obj
        values[place[0]] = Py_NewRef(<PyObject *> state)
        while slot < end:
            place += 1
            values[place[0]] = row[slot.column]
            if take:
                row[slot.column] = NULL
            else:
                Py_XINCREF(row[slot.column])
            slot += 1
        return obj

    cdef int set_attributes(self, object obj, PyObject **row, object state) except -1:
        # Through the dict: no descriptor of a field is in the way there.
        cdef object attributes = PyObject_GenericGetDict(obj, NULL)
        cdef PyObject *target = <PyObject *> attributes
        cdef Py_ssize_t i
        PyDict_SetItem(target, <PyObject *> "_state", <PyObject *> state)
        for i in range(self.slot_count):
            PyDict_SetItem(target, self.slots[i].name, row[self.slots[i].column])
        return 0

    cdef int complete(
        self, PyObject **row, object obj, object state, str owner_cache, object owner
    ) except -1:
        """What ModelIterable and RelatedPopulator do to an instance, in their order."""
        # Nobody else has seen the state: no cache here means that there is none.
        cdef bint fresh = self.from_db is None
        cdef dict cache = None
        cdef _Annotation annotation
        cdef Relation relation
        cdef KnownRelated known
        cdef object child
        if self.peers is not None:
            self.peers.append(PyWeakref_NewRef(obj, NULL))
            PyObject_SetAttr(state, "peers", self.peers)
        for relation in self.relations:
            child = None
            if <object> row[relation.plan.pk_column] is not None:
                child = relation.plan.make(row, False, relation.remote_cache, obj)
            if relation.local_cache is not None:
                if cache is None:
                    cache = fields_cache(state, fresh)
                cache[relation.local_cache] = child
            elif relation.local_setter is not None:
                relation.local_setter(obj, child)
                fresh, cache = False, None
            if child is not None and relation.remote_setter is not None:
                relation.remote_setter(child, obj)
                fresh, cache = False, None
        for annotation in self.annotations:
            if annotation.direct:
                attributes = PyObject_GenericGetDict(obj, NULL)
                PyDict_SetItem(
                    <PyObject *> attributes,
                    <PyObject *> annotation.name,
                    row[annotation.column],
                )
            else:
                PyObject_SetAttr(obj, annotation.name, <object> row[annotation.column])
                fresh, cache = False, None
        for known in self.known:
            known.set(obj)
            fresh, cache = False, None
        if owner_cache is not None:
            if cache is None:
                cache = fields_cache(state, fresh)
            cache[owner_cache] = owner
        return 0


cdef dict fields_cache(object state, bint fresh):
    cdef dict cache
    if not fresh:
        return state.fields_cache
    # As its descriptor would, without the Python call (190 ns).
    cache = {}
    PyObject_SetAttr(state, "fields_cache", cache)
    return cache


@cython.final
cdef class _Annotation:
    def __init__(self, str name not None, Py_ssize_t column, bint direct=False):
        self.name = intern(name)
        self.column = column
        self.direct = direct


@cython.final
cdef class Relation:
    """A select_related() branch: `plan` from the same row, None when its key is NULL.

    A setter that does nothing is passed as None. `local_cache` and `remote_cache` are
    keys of `_state.fields_cache`, stored directly instead of calling the setter.
    """

    def __init__(
        self,
        ModelPlan plan not None,
        local_setter=None,
        remote_setter=None,
        str local_cache=None,
        str remote_cache=None,
    ):
        if not plan.ready:
            raise ValueError("the plan was never initialised")
        self.plan = plan
        self.local_setter = local_setter
        self.remote_setter = remote_setter if remote_cache is None else None
        self.local_cache = None if local_cache is None else intern(local_cache)
        self.remote_cache = None if remote_cache is None else intern(remote_cache)


@cython.final
cdef class KnownRelated:
    """Objects known before the query, as ModelIterable's known_related_objects."""

    def __init__(self, field, dict related not None, attnames):
        self.field = field
        self.name = field.name
        self.related = related
        self.attnames = tuple(attnames)

    cdef int set(self, object obj) except -1:
        cdef PyObject *found
        cdef dict attributes
        if self.field.is_cached(obj):
            return 0
        attributes = obj.__dict__
        for attname in self.attnames:
            if attname not in attributes:
                return 0
        if len(self.attnames) == 1:
            key = getattr(obj, self.attnames[0])
        else:
            key = PyTuple_New(len(self.attnames))
            for i, attname in enumerate(self.attnames):
                value = getattr(obj, attname)
                PyTuple_SET_ITEM(<PyObject *> key, i, Py_NewRef(<PyObject *> value))
        found = PyDict_GetItemWithError(self.related, key)
        if found is not NULL:
            known = <object> found  # a reference: the descriptor may change the dict
            PyObject_SetAttr(obj, self.name, known)
        return 0

# Whether classes have been changed, without looking each of their attributes up.

cdef extern from "Python.h":
    ctypedef struct DictValues "PyDictObject":
        void *ma_values
    unsigned long Py_TPFLAGS_HEAPTYPE
    object PyLong_FromVoidPtr(void *pointer)
    int PyDict_Next(
        PyObject *values, Py_ssize_t *at, PyObject **key, PyObject **value
    ) noexcept


cdef extern from "dict_watcher.h":
    int PyDict_EVENT_DEALLOCATED
    int PyDict_Watch(int watcher, PyObject *values) except -1
    int add_dict_watcher(void *callback) except -1
    PyObject *take_error() noexcept
    void put_error_back(PyObject *error) noexcept


# How often what is watched has been about to change; 0 where CPython tells of nothing:
# before 3.12, and where others have taken all of its few watchers.
cdef unsigned long long changes = 0
# By the address of a dict the names that are watched in it, None for all.
cdef dict watched = {}


cdef int about_to_change(
    int event, PyObject *values, PyObject *key, PyObject *value
) noexcept:
    """Count a change of a watched dict. There may be an error on its way."""
    global changes
    cdef PyObject *error = take_error()
    place = PyLong_FromVoidPtr(values)
    names = watched.get(place)
    if event == PyDict_EVENT_DEALLOCATED:
        watched.pop(place, None)
    elif key is NULL or names is None or <object> key in <set> names:
        changes += 1
    put_error_back(error)
    return 0


cdef int dict_watcher() except? -1:
    global changes
    try:
        watcher = add_dict_watcher(<void *> about_to_change)
    except RuntimeError:
        return -1
    changes = 1
    return watcher


cdef int watcher = dict_watcher()


cdef int watch(PyObject *values, tuple names=None) except -1:
    """Have changes of a dict told, by some names or, if those are none, all."""
    if watcher == -1:
        return 0
    place = PyLong_FromVoidPtr(values)
    known = watched.setdefault(place, set())
    PyDict_Watch(watcher, values)
    if not names:
        watched[place] = None
    elif known is not None:
        (<set> known).update(names)
    return 0


cdef tuple mro_of(kind):
    return <tuple> (<ClassStruct *> kind).tp_mro


@cython.final
cdef class ClassWatch:
    """Classes that were right when `look()` was called, last.

    They are while nothing that is watched has changed since. Else, and where CPython
    tells of no changes, it is looked for: a class has another version when it, or what
    it inherits, has been changed; 0 is none, and says nothing (types.h:
    `tp_version_tag`). From 3.13 a class has a thousand of them, then none: `Field`
    counts its instances in itself. Then what it has by `names` is compared, for each
    class some of them or, if those are none, all; without `names` it is asked each time.
    """

    def __init__(self, *classes, asked=None, tuple names=None):
        if len(classes) > WATCHED_CLASSES:
            raise ValueError(f"at most {WATCHED_CLASSES} classes, got {len(classes)}")
        for each in classes:
            if not isinstance(each, type):
                raise TypeError(f"expected a class, got {each!r}")
        if names is not None and len(names) != len(classes):
            raise ValueError("expected names for each class")
        self.classes = classes
        self.asked = asked
        self.names = names

    def look(self, *dicts):
        """Take the classes, and `dicts`, as they are now for what they should be.

        Of dicts nothing is known where CPython tells of no changes.
        """
        cdef Py_ssize_t i
        cdef list seen = []
        cdef unsigned long long now = changes
        self.seen = None
        self.mros = tuple([mro_of(each) for each in self.classes])
        self.changes = now
        self.dicts = dicts
        for each in dicts:
            if not isinstance(each, dict):
                raise TypeError(f"expected a dict, got {each!r}")
            watch(<PyObject *> each)
            if (<DictValues *> each).ma_values is not NULL:
                self.changes = 0  # an object's own: CPython does not tell of all
        for i in range(len(self.classes)):
            for each in <tuple> self.mros[i]:
                # Others nobody can change.
                if (<ClassStruct *> each).tp_flags & Py_TPFLAGS_HEAPTYPE:
                    watch((<ClassStruct *> each).tp_dict, self.names and self.names[i])
            take_version(self, i)
            if self.names is not None:
                seen.append([])
                compare(self, i, <list> seen[i], True)
        if self.names is not None:
            self.seen = seen

    def unchanged(self):
        """Tell whether no class has been changed since; False if that is unknown."""
        return is_unchanged(self)

    def holds(self):
        """Return what `asked()` has answered; it is called when a class has changed.

        It has to call `look()`, before it looks itself.
        """
        if not is_unchanged(self) and not is_same(self):
            self.answer = self.asked()
        return self.answer


def all_hold(tuple watches not None):
    """Tell whether `holds()` of each ClassWatch does."""
    for each in watches:
        if not holds(<ClassWatch?> each):
            return False
    return True


cdef bint is_unchanged(ClassWatch self):
    cdef Py_ssize_t i
    if self.changes == changes != 0 and has_mros(self):
        return True
    if self.dicts:
        return False
    for i in range(len(self.classes)):
        if not has_version(self, i):
            return False
    self.changes = changes
    return True


cdef inline bint has_mros(ClassWatch self) noexcept:
    """Whether each class inherits from what it did: in no dict that is seen.

    Asked dozens of times for a statement: as pointers, and only after `look()`.
    """
    cdef PyObject *classes = <PyObject *> self.classes
    cdef PyObject *mros = <PyObject *> self.mros
    cdef Py_ssize_t i
    for i in range(PyTuple_GET_SIZE(mros)):
        if (
            (<ClassStruct *> PyTuple_GET_ITEM(classes, i)).tp_mro
            != PyTuple_GET_ITEM(mros, i)
        ):
            return False
    return True


cdef inline bint has_version(ClassWatch self, Py_ssize_t i):
    """Whether a class has the version that was taken."""
    return self.versions[i] != 0 and self.versions[i] == version_of(self.classes[i])


cdef bint is_same(ClassWatch self) except -1:
    """Tell whether the classes have what they had when somebody looked."""
    cdef Py_ssize_t i
    cdef list seen = self.seen
    cdef unsigned long long now = changes
    if seen is None or self.dicts:
        return False
    for i in range(len(self.classes)):
        if has_version(self, i):
            continue
        # Before it is compared: what is changed meanwhile has another.
        take_version(self, i)
        if not compare(self, i, <list> seen[i], False):
            self.seen = None
            return False
    self.changes = now
    return True


cdef int take_version(ClassWatch self, Py_ssize_t i) except -1:
    self.versions[i] = new_version_of(self.classes[i])
    return 0


cdef unsigned int new_version_of(kind) except? 0:
    # A class is given its version when something is looked up in it.
    _ = kind.__init__
    return version_of(kind)


cdef bint compare(ClassWatch self, Py_ssize_t i, list seen, bint take) except -1:
    """Compare what a class has with what was seen, or take it down."""
    cdef Py_ssize_t at = 0, next
    cdef unsigned int version
    cdef ClassStruct *owner
    cdef PyObject *value
    cdef tuple names = self.names[i]
    cdef tuple mro = mro_of(self.classes[i])
    if not is_next(seen, &at, <PyObject *> mro, take):
        return False
    for each in mro:
        owner = <ClassStruct *> each
        if not owner.tp_flags & Py_TPFLAGS_HEAPTYPE:
            continue  # nobody can change it
        if names:
            # Most of those that it inherits from have a version still.
            version = new_version_of(each) if take else owner.tp_version_tag
            if take:
                seen.append(version)
            elif version != 0 and version == <unsigned int> seen[at]:
                at += 1 + len(names)
                continue
            at += 1
            for name in names:
                has = (<dict> owner.tp_dict).get(name, ABSENT)
                if not is_next(seen, &at, <PyObject *> has, take):
                    return False
        else:
            next = 0
            while PyDict_Next(owner.tp_dict, &next, NULL, &value):
                if not is_next(seen, &at, value, take):
                    return False
    return at == len(seen)


cdef inline bint is_next(
    list seen, Py_ssize_t *at, PyObject *value, bint take
) except -1:
    if take:
        seen.append(<object> value)
    elif at[0] >= len(seen) or <PyObject *> seen[at[0]] != value:
        return False
    at[0] += 1
    return True


cdef object ABSENT = object()


cdef inline unsigned int version_of(object kind):
    return (<ClassStruct *> kind).tp_version_tag


cdef inline bint holds(ClassWatch watch) except -1:
    return watch.answer if is_unchanged(watch) else watch.holds()


cdef inline ClassWatch watch_for(kind, dict watches, watch_of):
    """What `watch_of` returns for a class, which is asked once."""
    watch = watches.get(kind)
    if watch is None:
        watch = watches[kind] = watch_of(kind)
    return <ClassWatch?> watch

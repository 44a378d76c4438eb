# Querysets that are paths: a step that has been taken before is one call.
#
# In: a manager; or a queryset on a path, and what a method of it is called with.
# Out: the queryset that Django's method would return; None where that is Django's to
# make, and a tuple (key, items, may_change) of a step that is to be learnt.
# Next: `statements.pxi`.

cdef str ON = "_daf_path"
cdef str QUERY = "_query"
cdef str ROOTS = "_daf_roots"
cdef str DICT = "__dict__"
cdef str LATE_FILTER = "late filter"
cdef str LATE_EXCLUDE = "late exclude"

# What becomes of a step that is not known: it is learnt, or not; or nobody is asked.
cdef enum:
    LEARNS
    LOOKS
    ALONE

# As many rows tell `get()` that there are many.
cdef tuple GET_LIMITS = (0, 21)


@cython.final
cdef class Steps:
    """The steps of all querysets.

    `fresh` are the attributes of a new queryset, `methods` the names of what its class
    has, `new` the attributes that a clone has as a new one has them, `kept` the names
    of the others. `is_made_once` tells of the caller whether the first time is the
    last. `late_filter` is the step's function of a filter that was put off.
    """

    def __init__(
        self, dict fresh not None, *, frozenset methods not None, dict new, tuple kept,
        StepKeys keys not None, bint learns_at_once, is_made_once,
    ):
        self.fresh = fresh
        self.methods = methods
        self.new = new
        self.kept = kept
        self.keys = keys
        self.learns_at_once = learns_at_once
        self.is_made_once = is_made_once
        self.epoch = object()

    # ----- where a queryset is

    cdef Path path_on(self, dict values):
        path = values.get(ON)
        # It may have been given a query since, or a method of its own.
        if path is None or QUERY in values or self.has_own_method(values):
            return None
        return <Path?> path

    cdef bint has_own_method(self, dict values) except -1:
        if len(values) == len(self.fresh) + 1:
            return False
        for name in values:
            if name not in self.fresh and name in self.methods:
                return True
        return False

    cdef Path path_of(self, dict values, int looks=LOOKS):
        """The path that is gone on from, with the filter that was put off; or None."""
        cdef Path path = self.path_on(values)
        if path is None or values["_sticky_filter"]:
            return None
        if values["_deferred_filter"] is not None:
            return self.late(values, path, looks)
        return path

    cdef Path late(self, dict values, Path path, int looks):
        """Apply a filter that a related manager has put off; None if it is not known."""
        negate, args, kwargs = values["_deferred_filter"]
        found = self.by_conditions(
            values, path, LATE_EXCLUDE if negate else LATE_FILTER, self.late_filter,
            negate, args, kwargs, looks,
        )
        if type(found) is not Path:
            return None
        values["_deferred_filter"] = None
        values[ON] = found
        return <Path> found

    def on(self, queryset):
        """Return the path that a queryset is on, None if it has a query."""
        return self.path_on(<dict> PyObject_GenericGetDict(queryset, NULL))

    def is_forgotten(self, queryset):
        """Tell whether a queryset is on a path of what has been forgotten since."""
        cdef Path path = self.path_on(<dict> PyObject_GenericGetDict(queryset, NULL))
        return (
            path is not None
            and path.node.epoch is not self.epoch
            and path.peek is None
        )

    cdef object copy_of(self, queryset, dict values, Path path):
        cdef object new = allocate(type(queryset))
        cdef dict found
        if len(values) == len(self.fresh) + 1:
            found = PyDict_Copy(values)
            found.update(self.new)
        else:  # somebody has given it attributes of their own
            found = PyDict_Copy(self.fresh)
            for name in self.kept:
                found[name] = values[name]
        found["_hints"] = values["_hints"] or {}
        found[ON] = path
        PyObject_SetAttr(new, DICT, found)
        return new

    def clone(self, queryset):
        """Return what Django's `_clone()` would; None where that is a step of its own."""
        cdef dict values = <dict> PyObject_GenericGetDict(queryset, NULL)
        cdef Path path = self.path_on(values)
        if (
            path is None
            or values["_deferred_filter"] is not None
            or path.node.sticky
            or path.node.epoch is not self.epoch
        ):
            return None
        path = new_path(path.node, path.steps, path.values, path.limits, path.led)
        return self.copy_of(queryset, values, path)

    def begin(self, manager):
        """Return what the manager's `get_queryset()` would; None if that has to."""
        cdef object kind = manager._queryset_class
        cdef object model = manager.model
        if model is None:
            return None
        cdef dict meta = <dict> PyObject_GenericGetDict(model._meta, NULL)
        roots = meta.get(ROOTS)
        if roots is None:
            return None
        cdef Root root = (<dict?> roots).get(kind)
        if (
            root is None
            or root.node.epoch is not self.epoch
            or not holds(root.watch)
        ):
            return None
        return self.begin_at(kind, model, manager._db, manager._hints, root.node)

    def begin_at(self, kind, model, db, hints, Node node not None):
        """Return what `kind(model=model, using=db, hints=hints)` would, on a path."""
        cdef object new = allocate(kind)
        cdef dict found = PyDict_Copy(self.fresh)
        found["model"] = model
        found["_db"] = db
        found["_hints"] = hints or {}
        found["_known_related_objects"] = {}
        found[ON] = new_path(node, None, (), None)
        PyObject_SetAttr(new, DICT, found)
        return new

    # ----- steps

    def conditions(
        self, queryset, str name not None, function, tuple args not None,
        dict kwargs not None,
    ):
        """Take the step of `filter()` or `exclude()`, or put it off as it is asked for."""
        cdef dict values = <dict> PyObject_GenericGetDict(queryset, NULL)
        cdef Path path = self.path_on(values)
        if path is None:
            return None
        if values["_defer_next_filter"]:
            return self.put_off_next(
                queryset, values, path, (name == "exclude", args, kwargs)
            )
        path = self.path_of(values)
        if path is None:
            return None
        return self.filtered(queryset, values, path, name, function, None, args, kwargs)

    cdef object put_off_next(self, queryset, dict values, Path path, tuple conditions):
        """The queryset whose filter is `conditions`, once it is looked at; or None."""
        if (
            path.limits is not None
            or values["_deferred_filter"] is not None
            or values["_sticky_filter"]
            or path.node.epoch is not self.epoch
        ):
            return None
        new = queryset
        if values.get("_cloning_enabled", True):
            new = self.clone(queryset)
            if new is None:
                return None
        values["_defer_next_filter"] = False
        (<dict> PyObject_GenericGetDict(new, NULL))["_deferred_filter"] = conditions
        return new

    def put_off(
        self, queryset, str name not None, function, negate, tuple args not None,
        dict kwargs not None,
    ):
        """Take the step of a filter that a related manager has put off."""
        cdef dict values = <dict> PyObject_GenericGetDict(queryset, NULL)
        cdef Path path = self.path_on(values)
        if path is None:
            return None
        return self.filtered(
            queryset, values, path, name, function, negate, args, kwargs
        )

    cdef object filtered(
        self, queryset, dict values, Path path, str name, function, negate, tuple args,
        dict kwargs,
    ):
        found = self.by_conditions(
            values, path, name, function, negate, args, kwargs, LEARNS
        )
        return self.moved(queryset, values, found)

    cdef object by_conditions(
        self, dict values, Path path, str name, function, negate, tuple args,
        dict kwargs, int looks,
    ):
        if path.limits is not None:
            return None
        if path.node.unknown >= TIRED if looks else path.node.is_tired():
            return None
        cdef list items = []
        cdef bint may_change = False
        key = None
        if not args:
            key = self.keys.plain_key(name, kwargs, items)
        if key is None:
            items = []
            part = self.keys.key_of_q("AND", False, args + by_name(kwargs), items)
            if type(part) is str:
                return None
            key, may_change = (name, part), True
        return self.taken(
            values, path, function, key, items, args, kwargs, may_change, negate, looks
        )

    def names(
        self, queryset, str name not None, function, tuple args not None,
        dict kwargs not None,
    ):
        """Take the step of a method that takes names, and options that are bools."""
        cdef dict values = <dict> PyObject_GenericGetDict(queryset, NULL)
        cdef Path path = self.path_of(values)
        if path is None or path.node.is_tired():
            return None
        for each in args:
            if type(each) is not str or each == "?":
                return None
        if not kwargs:
            key = name, args
        else:
            for each in kwargs.values():
                if type(each) is not bool:
                    return None
            key = name, args, tuple(kwargs.items())
        return self.take(queryset, values, path, function, key, None, args, kwargs, False)

    def annotated(
        self, queryset, str name not None, function, tuple args not None,
        dict kwargs not None,
    ):
        """Take the step of `annotate()` by Django's aggregates of columns."""
        cdef dict values = <dict> PyObject_GenericGetDict(queryset, NULL)
        cdef Path path = self.path_of(values)
        if path is None or path.node.is_tired():
            return None
        key = self.keys.key_of_aggregates(name, args, kwargs)
        if type(key) is str:
            return None
        return self.take(queryset, values, path, function, key, None, args, kwargs, False)

    def step(
        self, queryset, function, key, list items, tuple args not None,
        dict kwargs not None, bint may_change,
    ):
        """Take a step whose key the caller has made."""
        cdef dict values = <dict> PyObject_GenericGetDict(queryset, NULL)
        cdef Path path = self.path_on(values)
        if path is None or path.node.is_tired():
            return None
        return self.take(
            queryset, values, path, function, key, items, args, kwargs, may_change
        )

    cdef object take(
        self, queryset, dict values, Path path, function, key, list items, tuple args,
        dict kwargs, bint may_change,
    ):
        found = self.taken(
            values, path, function, key, items, args, kwargs, may_change, None, LEARNS
        )
        return self.moved(queryset, values, found)

    cdef object moved(self, queryset, dict values, found):
        """What Django's method would return, on the path that is found."""
        if type(found) is not Path:
            return found
        new = self.copy_of(queryset, values, <Path> found)
        cdef dict sets = (<Path> found).node.sets
        if sets is not None:
            (<dict> PyObject_GenericGetDict(new, NULL)).update(sets)
        return new

    cdef object taken(
        self, dict values, Path path, function, key, list items, tuple args,
        dict kwargs, bint may_change, negate, int looks,
    ):
        """The path with one step more; a step that is to be learnt, or None.

        Who only `looks` is told of none to be learnt, and is not counted; who looks
        `ALONE` has nothing of Django's or the project's called.
        """
        cdef Node node = path.node
        cdef Node child
        cdef Hole hole
        if (
            path.limits is not None
            or node.epoch is not self.epoch
            or not values.get("_cloning_enabled", True)
        ):
            return None
        child = node.children.get(key)
        if child is None:
            if looks:
                return None
            node.unknown += 1
            if (
                path.fresh
                or self.learns_at_once
                or node.has_seen(key)
                or self.is_made_once()
            ):
                return key, items or [], may_change
            return None
        node.unknown = 0
        child.used = self.clock
        if child.why_not:
            return None
        cdef tuple found = path.values
        if child.own:
            made = []
            for place, each in child.own:
                hole = each
                value = (<tuple> items[place])[1]
                if looks != ALONE:
                    value = hole.make(value)
                elif hole.prepared is not None and hole.is_chosen():
                    value = hole.prepared.key_of(value)
                else:
                    return None
                if value is None:
                    return None
                made.append(value)
            found = found + tuple(made)
        if may_change:
            args, kwargs = self.keys.kept_values(args, kwargs)
        if negate is not None:
            args, kwargs = (negate, args, kwargs), {}
        step = path.steps, function, args, kwargs
        return new_path(child, step, found, None, path.led)

    def limited(
        self, queryset, filter_by, limit, tuple args not None, dict kwargs not None
    ):
        """Take the steps of `get()`: conditions, if there are any, then a limit."""
        cdef dict values = <dict> PyObject_GenericGetDict(queryset, NULL)
        path = self.path_of(values)
        found = self.of_get(values, path, filter_by, limit, args, kwargs, LEARNS)
        return self.moved(queryset, values, found)

    cdef object of_get(
        self, dict values, Path path, filter_by, limit, tuple args, dict kwargs, int looks
    ):
        """The path of the rows that `get()` looks at; what `taken()` returns else."""
        if path is None or path.limits is not None or values["_result_cache"] is not None:
            return None
        if args or kwargs:
            found = self.by_conditions(
                values, path, "filter", filter_by, None, args, kwargs, looks
            )
            if type(found) is not Path:
                return found
            path = <Path> found
        return self.limit_path(path, limit) if path.node.epoch is self.epoch else None

    def limit(self, queryset, function):
        """Let a queryset that is on a path take the step of the limit of `get()`."""
        cdef dict values = <dict> PyObject_GenericGetDict(queryset, NULL)
        values[ON] = self.limit_path(<Path> values[ON], function)

    cdef Path limit_path(self, Path path, function):
        cdef Path new = new_path(
            self.child_of(path.node, "get"),
            (path.steps, function, (), {}),
            path.values,
            GET_LIMITS,
        )
        new.fresh = path.fresh
        return new

    cdef Path bulk(self, dict values, Path path, filter_by, tuple args, dict kwargs):
        """The path of the instances that `in_bulk()` fetches by their keys, or None."""
        keys = kwargs.get("id_list")
        if (
            args
            or path is None
            or kwargs.get("field_name") != "pk"
            or type(keys) not in (list, tuple)
            or not keys
            or values["_fields"] is not None
            # Not by asking for it: a composite key's has no value of a class.
            or _PyType_Lookup(<PyTypeObject *> values["model"], "pk")
            != _PyType_Lookup(<PyTypeObject *> self.keys.model, "pk")
        ):
            return None
        found = self.by_conditions(
            values, path, "filter", filter_by, None, (), {"pk__in": tuple(keys)}, ALONE
        )
        return <Path> found if type(found) is Path else None

    cdef Node child_of(self, Node node, key):
        """The node of a step that needs not be learnt."""
        cdef Node child = node.children.get(key)
        if child is None:
            self.size += 1
            child = node.children[key] = Node(node.slots, "", node.epoch)
            child.used = self.clock
        return child

    cdef int lead(self, Path path) except -1:
        """Note that a method of Django's looks at the rows of a path."""
        cdef list steps = []
        cdef Path origin
        name, origin, watches = path.led
        step = path.steps
        while step is not None and step is not origin.steps:
            steps.insert(0, (<tuple> step)[1:])
            step = (<tuple> step)[0]
        if step is origin.steps and len(path.values) == len(origin.values):
            if origin.node.leads is None:
                origin.node.leads = {}
            origin.node.leads[name] = path.node, steps, path.limits, watches
        return 0

    cdef Path led(self, dict values, Path path, str name, tuple args):
        """The path of the rows that a method looks at, None if that is not known."""
        if (
            path is None
            or path.limits is not None
            or path.node.leads is None
            or not values.get("_cloning_enabled", True)
        ):
            return None
        cdef Node node
        lead = path.node.leads.get(lead_of(name, args))
        if lead is None:
            return None
        node, steps, limits, watches = <tuple?> lead
        for watch in <tuple?> watches:
            if not holds(<ClassWatch?> watch):
                return None
        node.used = self.clock
        step = path.steps
        for function, args, kwargs in <list?> steps:
            step = step, function, args, kwargs
        return new_path(node, step, path.values, limits)

    def sliced(self, queryset, function, low, high):
        """Take the step of `queryset[low:high]`; None where that is Django's to make."""
        cdef dict values = <dict> PyObject_GenericGetDict(queryset, NULL)
        cdef Path path = self.path_of(values)
        if path is None or path.limits is not None:
            return None
        if values["_result_cache"] is not None:
            return None
        if low is None:
            low = 0
        if type(low) is not int or low < 0:
            return None
        if high is not None and (type(high) is not int or high <= low):
            return None
        if not values.get("_cloning_enabled", True):
            return None
        if path.node.epoch is not self.epoch:
            return None
        cdef Path new = new_path(
            self.child_of(path.node, ("slice", low == 0, high is None)),
            (path.steps, function, (slice(low, high),), {}),
            path.values,
            (low, high),
            path.led,
        )
        new.fresh = path.fresh
        return self.copy_of(queryset, values, new)


def lead_of(str name not None, tuple args not None):
    """Return what a method's rows are found by; None where they are not kept."""
    for each in args:
        if type(each) is not str:
            return None
    return (name, *args) if args else name

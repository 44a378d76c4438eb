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

# A node of which so many steps in a row were not known has what is below it made by
# Django; after so many more it looks again.
cdef enum:
    TIRED = 128
    RESTED = 4096
    SEEN_ONCE = 256

# What becomes of a step that is not known: it is learnt, or not; or nobody is asked.
cdef enum:
    LEARNS
    LOOKS
    ALONE

# As many rows tell `get()` that there are many.
cdef tuple GET_LIMITS = (0, 21)


@cython.final
cdef class Node:
    """One way to make a queryset, without its values."""

    def __init__(self, tuple slots not None, str why_not not None, epoch):
        self.children = {}
        # By kind of statement: a Statement, or in words why there is none.
        self.entries = {}
        # For each lookup in the WHERE its hole, or None for a constant.
        self.slots = slots
        self.holes = tuple([hole for hole in slots if hole is not None])
        # Of the last step: (the item's position, its hole).
        self.own = ()
        # Why Django does this step each time.
        self.why_not = why_not
        # Its query, without values.
        self.peeked = None
        # What is learnt holds while this is the tree's.
        self.epoch = epoch

    def has_seen(self, key):
        """Tell whether `key` was asked for before; it is remembered."""
        return self.note(key)

    cdef bint note(self, key) except -1:
        # What was asked for once.
        if self.seen is None:
            self.seen = {}
        if self.seen.pop(key, self) is None:
            return True
        if len(self.seen) >= SEEN_ONCE:
            self.seen.clear()
        self.seen[key] = None
        return False

    cdef bint is_tired(self):
        if self.unknown < TIRED:
            return False
        self.unknown += 1
        if self.unknown > RESTED:
            self.unknown = 0
        return True


@cython.final
cdef class Path:
    """How a queryset was made: where in the tree it is, and with which values.

    `steps` is the last one: (the step before, Django's function, its args and kwargs).
    `values` has for each hole of the node what its `made()` has returned, `limits` the
    slice. `query` is the one that Django has made already, this queryset's own; `fresh`
    tells that nobody was here before. `peek` is a query without values, to be looked at.
    """

    def __init__(
        self, Node node not None, tuple steps, tuple values not None, tuple limits=None,
        query=None, bint fresh=False,
    ):
        self.node = node
        self.steps = steps
        self.values = values
        self.limits = limits
        self.query = query
        self.fresh = fresh


cdef inline Path new_path(Node node, tuple steps, tuple values, tuple limits):
    cdef Path path = Path.__new__(Path)
    path.node, path.steps, path.values, path.limits = node, steps, values, limits
    return path


@cython.final
cdef class Root:
    """The node of `Model.objects.all()`, and what it was made for."""

    def __init__(self, kind, Node node not None, ClassWatch watch not None):
        check_class(kind)
        self.node = node
        self.watch = watch

    def holds(self):
        """Tell whether the classes are Django's own."""
        return self.watch.holds()


@cython.final
cdef class Steps:
    """The steps of all querysets.

    `fresh` are the attributes of a new queryset, `new` those that a clone has as a new
    one has them, `kept` the names of the others. `is_made_once` tells of the caller
    whether the first time is the last. `late_filter` is the step's function of a filter
    that was put off.
    """

    def __init__(
        self, dict fresh not None, *, dict new, tuple kept, plain, model, q,
        safe_string, enum, lazy, aggregates, bint learns_at_once, is_made_once,
    ):
        self.fresh = fresh
        self.new = new
        self.kept = kept
        self.plain = plain
        self.model = model
        self.q = q
        self.safe_string = safe_string
        self.enum = enum
        self.lazy = lazy
        self.aggregates = aggregates
        self.learns_at_once = learns_at_once
        self.is_made_once = is_made_once
        self.epoch = object()

    # ----- where a queryset is

    cdef Path path_on(self, dict values):
        cdef PyObject *path = PyDict_GetItemWithError(values, ON)
        # It may have been given a query since.
        if path is NULL or QUERY in values:
            return None
        return <Path> path

    cdef Path path_of(self, dict values):
        """The path that is gone on from, with the filter that was put off; or None."""
        cdef Path path = self.path_on(values)
        if path is None or values["_sticky_filter"]:
            return None
        if values["_deferred_filter"] is not None:
            return self.late(values, path)
        return path

    cdef Path late(self, dict values, Path path):
        """Apply a filter that a related manager has put off; None if it is not known."""
        negate, args, kwargs = values["_deferred_filter"]
        found = self.by_conditions(
            values, path, LATE_EXCLUDE if negate else LATE_FILTER, self.late_filter,
            negate, args, kwargs, LOOKS,
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
        path = new_path(path.node, path.steps, path.values, path.limits)
        return self.copy_of(queryset, values, path)

    def begin(self, manager):
        """Return what the manager's `get_queryset()` would; None if that has to."""
        cdef object kind = manager._queryset_class
        cdef object model = manager.model
        if model is None:
            return None
        cdef dict meta = <dict> PyObject_GenericGetDict(model._meta, NULL)
        cdef PyObject *roots = PyDict_GetItemWithError(meta, ROOTS)
        if roots is NULL:
            return None
        cdef PyObject *known = PyDict_GetItemWithError(<dict> roots, kind)
        if known is NULL:
            return None
        cdef Root root = <Root> known
        if root.node.epoch is not self.epoch or not is_right(root.watch):
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

    # ----- the key of a step: what of its arguments decides about the SQL

    def key_of(self, str kind, tuple args, dict kwargs):
        """Return the key of conditions, (name, value) in Django's order, and whether
        the values may change; None with the reason where that is Django's to do.
        """
        found = []
        if not args:
            key = self.plain_key(kind, kwargs, found)
            if key is not None:
                return key, found, False
        key = self.key_of_q("AND", False, args + by_name(kwargs), found)
        if type(key) is str:
            return None, key, False
        return (kind, key), found, True

    cdef object plain_key(self, str kind, dict kwargs, list found):
        """The key of plain values, None if one is not; `found` gets the items."""
        cdef list key = [kind]
        for name in kwargs:
            key.append(name)
        for value in kwargs.values():
            if type(value) not in self.plain:
                return None
            key.append(type(value))
        if len(kwargs) > 1:
            found.extend(by_name(kwargs))
        else:
            found.extend(kwargs.items())
        return tuple(key)

    cdef object key_of_q(self, connector, negated, children, list found):
        """The key of conditions, a reason if Django has to make them each time."""
        cdef list key = [connector, negated]
        for child in children:
            if type(child) is self.q:
                part = self.key_of_q(
                    child.connector, child.negated, child.children, found
                )
                if type(part) is str:
                    return part
                key.append(part)
            elif (
                type(child) is tuple
                and len(<tuple> child) == 2
                and type((<tuple> child)[0]) is str
            ):
                part = self.key_of_value((<tuple> child)[1])
                if type(part) is str:
                    return part
                key.append((<tuple> child)[0])
                key.append(part)
                found.append(child)
            else:
                return f"a condition is a {type(child).__name__}"
        return tuple(key)

    cdef object key_of_value(self, value):
        """The key of a value, a reason if Django has to make its condition each time."""
        kind = type(value)
        if kind in self.plain:
            return kind
        if kind is bool or value is None:
            return value
        if kind in (list, tuple, set, frozenset):
            kinds = set()
            for each in value:
                kinds.add(type(each))
            if not kinds:
                return "a list of values is empty"
            for each in kinds:
                if not (
                    each in self.plain or each is bool or issubclass(each, self.model)
                ):
                    return f"a list of values has a {each.__name__}"
            return kind, frozenset(kinds)
        if issubclass(kind, self.model) or kind is self.safe_string:
            return kind
        if issubclass(kind, (int, str)) and issubclass(kind, self.enum):
            return kind
        if kind is self.lazy and isinstance(value, self.model):
            return kind, value.__class__
        return f"a value is a {kind.__name__}"

    # ----- arguments that stay as they are, whatever becomes of the caller's

    def kept_values(self, tuple args not None, dict kwargs not None):
        """Return such a copy of the arguments."""
        return self.keep_all(args), {
            name: self.keep(value) for name, value in kwargs.items()
        }

    cdef object keep_all(self, tuple args):
        return tuple([self.keep_child(child) for child in args]) if args else args

    cdef object keep_child(self, child):
        if isinstance(child, self.q):
            new = child.copy()
            new.children = [self.keep_child(each) for each in child.children]
            return new
        return child[0], self.keep(child[1])

    cdef object keep(self, value):
        kind = type(value)
        if kind in (list, tuple, set, frozenset):
            # Of a set a list: its order is this set's.
            found = []
            for each in value:
                found.append(each if type(each) in self.plain else self.keep(each))
            return tuple(found) if kind is tuple else found
        if kind is self.lazy:
            value = value._wrapped
        if isinstance(value, self.model):
            new = object.__new__(type(value))
            new.__dict__.update(value.__dict__)
            return new
        return value

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
            key = self.plain_key(name, kwargs, items)
        if key is None:
            items = []
            part = self.key_of_q("AND", False, args + by_name(kwargs), items)
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
        key = self.key_of_aggregates(name, args, kwargs)
        if type(key) is str:
            return None
        return self.take(queryset, values, path, function, key, None, args, kwargs, False)

    def key_of_aggregates(
        self, str kind not None, tuple args not None, dict kwargs not None
    ):
        """Return the key of Django's aggregates of columns, a reason for others."""
        cdef list found = [kind]
        for each in args:
            reason = self.add_aggregate(found, None, each)
            if reason is not None:
                return f"{kind}() is given {reason}"
        for name, each in kwargs.items():
            reason = self.add_aggregate(found, name, each)
            if reason is not None:
                return f"{kind}() is given {reason}"
        return tuple(found)

    cdef str add_aggregate(self, list found, name, aggregate):
        kind = type(aggregate)
        if kind not in self.aggregates:
            return f"a {kind.__name__}"
        sources, options = aggregate._constructor_args
        for each in sources:
            if type(each) is not str:
                return "an expression of another"
        for each in options.values():
            if type(each) is not bool:
                return "an aggregate with options"
        if (
            aggregate.filter is not None
            or aggregate.default is not options.get("default")
            or aggregate.distinct is not options.get("distinct", False)
            or getattr(aggregate, "order_by", None) is not None
        ):
            return "an aggregate that was changed after it was made"
        for expression, each in zip(aggregate.source_expressions, sources):
            if each != "*" and getattr(expression, "name", None) != each:
                return "an aggregate that was changed after it was made"
        found.append((name, kind, sources, tuple(options.items())))
        return None

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
        cdef PyObject *known = PyDict_GetItemWithError(node.children, key)
        if known is NULL:
            if looks:
                return None
            node.unknown += 1
            if (
                path.fresh
                or self.learns_at_once
                or node.note(key)
                or self.is_made_once()
            ):
                return key, items or [], may_change
            return None
        node.unknown = 0
        child = <Node> known
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
                elif hole.prepared is not None:
                    value = hole.prepared.key_of(value)
                else:
                    return None
                if value is None:
                    return None
                made.append(value)
            found = found + tuple(made)
        if may_change:
            args, kwargs = self.kept_values(args, kwargs)
        if negate is not None:
            args, kwargs = (negate, args, kwargs), {}
        return new_path(child, (path.steps, function, args, kwargs), found, None)

    def limited(
        self, queryset, filter_by, limit, tuple args not None, dict kwargs not None
    ):
        """Take the steps of `get()`: conditions, if there are any, then a limit."""
        cdef dict values = <dict> PyObject_GenericGetDict(queryset, NULL)
        cdef Path path = self.path_of(values)
        if path is None or path.limits is not None:
            return None
        if values["_result_cache"] is not None:
            return None
        if args or kwargs:
            found = self.filtered(
                queryset, values, path, "filter", filter_by, None, args, kwargs
            )
            if found is None or type(found) is tuple:
                return found
            # What has been filtered is nobody's yet.
            self.limit(found, limit)
            return found
        if path.node.epoch is not self.epoch:
            return None
        return self.copy_of(queryset, values, self.limit_path(path, limit))

    cdef object limited_alone(
        self, queryset, dict values, filter_by, limit, tuple args, dict kwargs
    ):
        """The same where that is known and calls nobody; else None."""
        cdef Path path = self.path_on(values)
        if path is None or values["_result_cache"] is not None or not (args or kwargs):
            return None
        found = self.by_conditions(
            values, path, "filter", filter_by, None, args, kwargs, ALONE
        )
        if type(found) is not Path:
            return None
        found = self.moved(queryset, values, found)
        self.limit(found, limit)
        return found

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

    cdef Node child_of(self, Node node, key):
        """The node of a step that needs not be learnt."""
        cdef Node child
        cdef PyObject *known = PyDict_GetItemWithError(node.children, key)
        if known is not NULL:
            return <Node> known
        self.size += 1
        child = node.children[key] = Node(node.slots, "", node.epoch)
        child.used = self.clock
        return child

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
        )
        new.fresh = path.fresh
        return self.copy_of(queryset, values, new)


cdef str LATE_FILTER = "late filter"
cdef str LATE_EXCLUDE = "late exclude"


cdef tuple by_name(dict kwargs):
    """Items in the order in which `Q(**kwargs)` has them. No two names are the same."""
    return tuple(kwargs.items() if len(kwargs) < 2 else sorted(kwargs.items()))

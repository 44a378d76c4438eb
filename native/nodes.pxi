# The tree of steps: its nodes, and where in it a queryset is.

# A node of which so many steps in a row were not known has what is below it made by
# Django; after so many more it looks again.
cdef enum:
    TIRED = 128
    RESTED = 4096
    SEEN_ONCE = 256


@cython.final
cdef class Node:
    """One way to make a queryset, without its values."""

    def __init__(self, tuple slots not None, str why_not not None, epoch):
        self.children = {}
        # By kind of statement: a Statement, or in words why there is none.
        self.entries = {}
        # For each lookup in the WHERE its hole, or None for a constant.
        self.slots = slots
        self.holes = slots
        if None in slots:
            self.holes = tuple([hole for hole in slots if hole is not None])
        # Of the last step: (the item's position, its hole).
        self.own = ()
        # Why Django does this step each time.
        self.why_not = why_not
        # Its query, without values.
        self.peeked = None
        # By Django's method that looks at one: (node, steps to it, limits, watches).
        self.leads = None
        # What is learnt holds while this is the tree's.
        self.epoch = epoch

    cpdef bint has_seen(self, key) except -1:
        """Tell whether `key` was asked for before; it is remembered."""
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
    `values` has for each hole of the node what its `make()` has returned, `limits` the
    slice. `query` is the one that Django has made already, this queryset's own; `fresh`
    tells that nobody was here before. `peek` is a query without values, to be looked at;
    `led` are the method that does, the path of its queryset, and the watches of its
    class.
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


cdef inline Path new_path(
    Node node, tuple steps, tuple values, tuple limits, tuple led=None
):
    cdef Path path = Path.__new__(Path)
    path.node, path.steps, path.values, path.limits = node, steps, values, limits
    path.led = led
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

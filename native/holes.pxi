# A lookup without its value, and how a value becomes the parameter in its place.
#
# In: a value that a queryset's method is given. Out: what is kept of it, then the
# parameter; None where Django is to make it.
# Next: `statements.pxi`.

from datetime import datetime


@cython.final
cdef class Parameter:
    """How a value becomes the parameter that Django would make of it.

    `watch` tells whether the methods that are not called are Django's. Values are of
    exactly the class `kind` and from `low` to `high`, datetimes know their time zone;
    `wrap` makes psycopg's number of one. `pattern` is LIKE's. With `attname` an
    instance's attribute is the value, with `many` there are several in a list; `array`
    makes of very many one parameter, or None.
    """

    def __cinit__(
        self, ClassWatch watch not None, kind, *, wrap=None, low=None, high=None,
        str pattern=None, str attname=None, bint many=False, array=None,
    ):
        self.watch = watch
        self.kind = kind
        self.aware = kind is datetime
        self.wrap = wrap
        self.low = low
        self.high = high
        self.pattern = pattern
        self.attname = attname
        self.many = many
        self.array = array

    cdef bint takes(self, value) except -1:
        if type(value) is not self.kind:
            return False
        # Of others Django warns, and takes the current time zone.
        return not self.aware or value.utcoffset() is not None

    cdef object one(self, value):
        """The parameter, None where Django is to be asked."""
        if not self.takes(value):
            return None
        if self.low is not None and not self.low <= value <= self.high:
            return None
        if self.pattern is not None:
            value = (
                (<str> value).replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
            )
            return self.pattern % value
        return value if self.wrap is None else self.wrap(value)

    def param(self, value):
        """Return the parameter for one value, None where Django is to be asked."""
        return self.one(value) if holds(self.watch) else None

    cdef object key_of(self, value):
        """What is kept of a value when it is given; None where Django is to be asked."""
        if self.many:
            if len(value) > MANY and self.array is None:
                return None
            # Each once, in their order: as Django's OrderedSet.
            values = {}
            for each in value:
                each = self.plain(each)
                if each is None:
                    return None
                values[each] = None
            return tuple(values)
        return self.plain(value)

    cdef object plain(self, value):
        """The value, or that of an instance; None where Django is to be asked."""
        if self.takes(value):
            return value
        if self.attname is None:
            return None
        found = (<dict> PyObject_GenericGetDict(value, NULL)).get(self.attname)
        return found if type(found) is self.kind else None

    cdef object array_of(self, tuple values):
        """The one parameter of many values, None where Django is to be asked."""
        if self.low is not None and not (
            self.low <= min(values) and max(values) <= self.high
        ):
            return None
        return self.array(list(values))


# As many values of a list are parameters that are not looked at by Django. From about
# as many on an array costs less than they do.
cdef enum:
    MANY = 100


@cython.final
cdef class Hole:
    """A lookup without its value, as it was on a database of Django's name `vendor`.

    The classes of `watches` have chosen it.
    """

    def __init__(
        self, kind, lhs, bint simple, Parameter prepared=None, str vendor="postgresql",
        tuple watches=(),
    ):
        self.kind = kind
        self.lhs = lhs
        self.vendor = vendor
        self.watches = watches
        # Whether only the parameter differs while the right side is one `%s`.
        self.simple = simple
        # How a value becomes a parameter without a lookup; None where Django is asked.
        self.prepared = prepared

    cdef bint is_chosen(self) except -1:
        """Tell whether Django would choose this lookup, as it did."""
        for watch in self.watches:
            if not holds(<ClassWatch> watch):
                return False
        return True

    cdef object make(self, value):
        """What is kept of `value`; None where this is Django's way, this time.

        That is a value that `prepared` knows, or the lookup that Django makes.
        """
        if not self.is_chosen():
            return None
        if self.prepared is not None:
            kept = self.prepared.key_of(value)
            if kept is not None:
                return kept
        return self.lookup(value)

    def kept(self, value, lookup):
        """Return what is kept of `value`, of which Django has made `lookup`."""
        kept = None if self.prepared is None else self.prepared.key_of(value)
        return self.known(lookup) if kept is None else kept

    def lookup(self, value):
        """Return the lookup of `value`; None as `known()`."""
        return self.known(self.kind(self.lhs, value))

    def known(self, lookup):
        """Return `lookup`, None if it is an expression's or IS NULL.

        Also where a None is among its values: `exclude()` has IS NULL beside them then.
        """
        rhs = lookup.rhs
        if rhs is None or hasattr(rhs, "as_sql"):
            return None
        if isinstance(rhs, (list, tuple, set, frozenset)):
            for each in rhs:
                if each is None:
                    return None
        return lookup

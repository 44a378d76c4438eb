# A statement without its values, and what fills it in.
#
# In: the values of a path.
# Out: SQL, parameters, and the text as psycopg keeps it.
# Next: `drivers/psycopg/statement.py`.

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
        return self.one(value) if is_right(self.watch) else None

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
            if not is_right(<ClassWatch> watch):
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


@cython.final
cdef class Statement:
    """A statement that can be filled in.

    Each of `parts` is (text, parameters), or the number of a hole. `simple` has for each
    hole its text, with `prepared.many` that before the values; None where Django's
    lookup is asked for it; `prepared` how its values become this database's parameters.
    `no_limit` is the LIMIT of an OFFSET alone, None for none. `template_of` makes of a
    text what psycopg keeps.
    """

    def __init__(self, tuple holes not None, list parts not None, template_of):
        self.holes = holes
        self.parts = parts
        self.template_of = template_of
        self.simple = ()
        self.tail = ""
        self.prepared = tuple([(<Hole> hole).prepared for hole in holes])
        self.models = ()
        self.kinds = ()
        self.orderings = ()

    def fill(self, Path path not None, connections, alias, list arrays=None):
        """Return SQL, parameters and the template for the values of `path`.

        None where that is Django's way, this time. Django's lookups are asked with
        `connections[alias]`, or without `connections` not at all. Raises what they
        raise. Very many values go to `arrays`, if it is given: they are the server's
        parameters $1, $2 ...
        """
        cdef list texts = []
        cdef list params = []
        cdef bint usual = True
        cdef Hole hole
        cdef Parameter prepared
        cdef object wrapper = None
        for part in self.parts:
            if type(part) is tuple:
                texts.append((<tuple> part)[0])
                params.extend(<tuple> (<tuple> part)[1])
                continue
            hole, value = self.holes[part], path.values[part]
            text = self.simple[part]
            prepared = self.prepared[part]
            if prepared is not None and text is not None and is_right(prepared.watch):
                if not prepared.many:
                    param = prepared.one(value)
                    if param is not None:
                        texts.append(text)
                        params.append(param)
                        continue
                elif type(value) is tuple:
                    usual = False
                    if len(<tuple> value) > MANY:
                        found = None
                        if arrays is not None and (<str> text).endswith(IN):
                            found = prepared.array_of(<tuple> value)
                        if found is not None:
                            arrays.append(found)
                            text = (<str> text).removesuffix(IN)
                            texts.append(f"{text} = ANY(${len(arrays)})")
                            continue
                    else:
                        found = self.many(prepared, <tuple> value)
                    if found is not None:
                        texts.append(text + PLACES[len(<list> found)])
                        params.extend(<list> found)
                        continue
            if connections is None:
                return None
            if wrapper is None:
                wrapper = connections[alias]
            if type(value) is not hole.kind:
                value = hole.lookup(value)
                if value is None:
                    return None
            if text is not None:
                # Without a compiler, which only expressions ask for.
                sql, found = value.process_rhs(None, wrapper)
                if prepared is not None and prepared.many:
                    usual = False
                    text = (<str> text) + sql if sql == places(len(found)) else None
                elif sql != "%s":
                    text = None
            if text is None:
                usual = False
                if self.compiler is None:
                    return None
                text, found = self.compiler_for(wrapper).compile(value)
                if (<str> text).replace("%%", "").count("%s") != len(found):
                    return None  # psycopg refuses it
            texts.append(text)
            params.extend(found)
        if not usual:
            template = self.template_of("".join(texts))
        else:
            if self.template is None:
                self.template = self.template_of("".join(texts))
            template = self.template
        if path.limits is not None:
            limited = self.limited
            if limited is None or limited[0] != path.limits:
                limit = limit_of(path.limits, self.no_limit) + self.tail
                limited = self.limited = path.limits, limit.encode()
            template = <bytes> template + <bytes> limited[1]
        # That has `%s` where the text has it, and is kept in its place.
        return (<bytes> template).decode(), tuple(params), template

    cdef bint is_ordered_so(self):
        """Tell whether lists that models are ordered by are as they were."""
        cdef list ordering
        cdef tuple seen
        cdef Py_ssize_t i
        for each in self.orderings:
            ordering, seen = <list> (<tuple> each)[0], <tuple> (<tuple> each)[1]
            if len(ordering) != len(seen):
                return False
            for i in range(len(seen)):
                if ordering[i] is not seen[i]:
                    return False
        return True

    cdef list many(self, Parameter prepared, tuple values):
        cdef list found = []
        for each in values:
            param = prepared.one(each)
            if param is None:
                return None
            found.append(param)
        return found

    def compiler_for(self, wrapper):
        """Return the compiler of the query without values, for a connection."""
        compiler = self.compiler
        new = (<type> type(compiler)).__new__(type(compiler))
        new.__dict__.update(compiler.__dict__)
        new.connection = wrapper
        return new


cdef str IN = " IN "
cdef list PLACES = [places(count) for count in range(MANY + 1)]


cdef str places(Py_ssize_t count):
    return "(" + ", ".join(["%s"] * count) + ")"


def around_limit(str text not None, tuple limits not None, no_limit):
    """Return what stands before and after the LIMIT; None if that is not there."""
    cdef str limit = limit_of(limits, no_limit)
    if not limit:
        return text, ""
    before, found, after = text.rpartition(limit)
    return (before, after) if found else None


cdef str limit_of(tuple limits, no_limit):
    low, high = limits
    if high is not None:
        limit = f" LIMIT {high - low}"
    else:
        limit = f" LIMIT {no_limit}" if low and no_limit is not None else ""
    return f"{limit} OFFSET {low}" if low else limit

# A statement without its values, and what fills it in.
#
# In: the values of a path.
# Out: SQL, parameters, and the text as psycopg keeps it.
# Next: `drivers/psycopg/statement.py`.

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
        found = self.filled(path, connections, alias, arrays)
        return None if found is None else (found[0].decode(), found[1], found[0])

    cdef tuple filled(self, Path path, connections, alias, list arrays):
        """The template, which has `%s` where the text has it, and the parameters."""
        cdef list texts = []
        cdef list params = []
        cdef bint usual = True
        cdef int filled
        for part in self.parts:
            if type(part) is tuple:
                texts.append((<tuple> part)[0])
                params.extend(<tuple> (<tuple> part)[1])
                continue
            filled = self.fill_hole(
                part, path.values[part], texts, params, connections, alias, arrays
            )
            if filled == LEFT:
                return None
            usual = usual and filled == AS_EVER
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
        return template, tuple(params)

    cdef int fill_hole(
        self, Py_ssize_t place, value, list texts, list params, connections, alias,
        list arrays,
    ) except -1:
        """Add a hole's text and parameters, or leave it to Django."""
        cdef Parameter prepared = self.prepared[place]
        text = self.simple[place]
        if prepared is not None and text is not None and holds(prepared.watch):
            if not prepared.many:
                param = prepared.one(value)
                if param is not None:
                    texts.append(text)
                    params.append(param)
                    return AS_EVER
            elif type(value) is tuple and fill_many(
                prepared, text, <tuple> value, texts, params, arrays
            ):
                return OTHERWISE
        if connections is None:
            return LEFT
        return self.ask(place, value, texts, params, connections[alias])

    cdef int ask(
        self, Py_ssize_t place, value, list texts, list params, wrapper
    ) except -1:
        """Add what Django's lookup, which `value` is or becomes, says for a hole."""
        cdef Hole hole = self.holes[place]
        cdef Parameter prepared = self.prepared[place]
        if type(value) is not hole.kind:
            value = hole.lookup(value)
            if value is None:
                return LEFT
        text = self.simple[place]
        if text is not None:
            # Without a compiler, which only expressions ask for.
            sql, found = value.process_rhs(None, wrapper)
            if prepared is not None and prepared.many:
                if sql == places(len(found)):
                    texts.append(text + sql)
                    params.extend(found)
                    return OTHERWISE
            elif sql == "%s":
                texts.append(text)
                params.extend(found)
                return AS_EVER
        if self.compiler is None:
            return LEFT
        text, found = self.compiler_for(wrapper).compile(value)
        if (<str> text).replace("%%", "").count("%s") != len(found):
            return LEFT  # psycopg refuses it
        texts.append(text)
        params.extend(found)
        return OTHERWISE

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

    def compiler_for(self, wrapper):
        """Return the compiler of the query without values, for a connection."""
        compiler = self.compiler
        new = (<type> type(compiler)).__new__(type(compiler))
        new.__dict__.update(compiler.__dict__)
        new.connection = wrapper
        return new


# How a hole was filled in: not at all, with the text that it always has, or another.
cdef enum:
    LEFT
    AS_EVER
    OTHERWISE

cdef str IN = " IN "
cdef list PLACES = [places(count) for count in range(MANY + 1)]


cdef str places(Py_ssize_t count):
    return "(" + ", ".join(["%s"] * count) + ")"


cdef bint fill_many(
    Parameter prepared, str text, tuple values, list texts, list params, list arrays
) except -1:
    """Add the values of a list, very many as one of `arrays`; False for Django's."""
    cdef list found = []
    if len(values) > MANY:
        array = None
        if arrays is not None and text.endswith(IN):
            array = prepared.array_of(values)
        if array is None:
            return False
        arrays.append(array)
        texts.append(f"{text.removesuffix(IN)} = ANY(${len(arrays)})")
        return True
    for each in values:
        param = prepared.one(each)
        if param is None:
            return False
        found.append(param)
    texts.append(text + PLACES[len(found)])
    params.extend(found)
    return True


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

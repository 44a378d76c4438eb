# Values as psycopg writes them into a text.
#
# In: a psycopg connection and parameters. Out: bytes for each. Next: `sending.pxi`.

cdef enum:
    INTEGER = 1
    TEXT
    NOTHING
    BOOLEAN
    NUMBER
    MOMENT
    DAY
    IDENTITY

cdef dict WRITES = {
    "integer": INTEGER, "text": TEXT, "null": NOTHING, "boolean": BOOLEAN,
    "number": NUMBER, "moment": MOMENT, "day": DAY, "identity": IDENTITY,
}


@cython.final
cdef class Literals:
    """What writes values for a text as `Transformer.as_literal()` does.

    That makes for each statement the dumpers of its values again. `kinds` has for a
    class of values how it is written; `is_psycopgs` tells of such a class and a dumper
    whether that is psycopg's own. All others are psycopg's to write.
    """

    def __init__(
        self, dict kinds not None, *, adapters_map, text, is_psycopgs, transformer,
        is_utf8,
    ):
        self.kinds = {kind: (WRITES[how], None) for kind, how in kinds.items()}
        self.adapters_map = adapters_map
        self.text = text
        self.is_psycopgs = is_psycopgs
        self.transformer = transformer
        self.is_utf8 = is_utf8

    def written(self, raw, params):
        """Return the parameters' literals on a connection. Raises psycopg's errors."""
        cdef list found = []
        cdef tuple writes
        adapters = raw._adapters or raw.adapters  # which psycopg makes when it is asked
        if type(adapters) is not self.adapters_map:
            literal = self.transformer(raw).as_literal
            return [literal(each) for each in params]
        cdef dict dumpers = adapters._dumpers[self.text]
        literal = None
        for each in params:
            kind = type(each)
            writes = self.kinds.get(kind)
            if writes is not None:
                dumper = dumpers.get(kind)
                if dumper is not None and (
                    writes[1] is dumper or self.learns(kind, dumper)
                ):
                    value = self.literal(raw, writes[0], each)
                    if value is not None:
                        found.append(value)
                        continue
            if literal is None:
                literal = self.transformer(raw).as_literal
            found.append(literal(each))
        return found

    cdef bint learns(self, kind, dumper) except -1:
        if not self.is_psycopgs(kind, dumper):
            return False
        self.kinds[kind] = (<tuple> self.kinds[kind])[0], dumper
        return True

    cdef object literal(self, raw, int how, value):
        """The literal of a value, None for psycopg's."""
        if how == INTEGER:
            return b"%d" % value if value >= 0 else b" %d" % value
        if how == TEXT:
            return self.quoted(raw, value)
        if how == NOTHING:
            return b"NULL"
        if how == BOOLEAN:
            return b"true" if value else b"false"
        if how == NUMBER:
            text = str(value)
            if not value.is_finite():
                return None
            return (f" {text}" if text.startswith("-") else text).encode()
        if how == MOMENT:
            if value.tzinfo:
                return f"'{value}'::timestamptz".encode()
            return f"'{value}'::timestamp".encode()
        if how == DAY:
            return f"'{value}'::date".encode()
        return f"'{value.hex}'::uuid".encode()

    cdef object quoted(self, raw, str value):
        if "\\" in value or "\0" in value:
            return None
        if not value.isascii() and not self.is_utf8(raw.pgconn):
            return None
        if "'" in value:
            value = value.replace("'", "''")
        try:
            return f"'{value}'".encode()
        except UnicodeEncodeError:
            return None

# The key of a step: what of its arguments decides about the SQL.

@cython.final
cdef class StepKeys:
    """Makes keys, and copies of the arguments that they were made of.

    Of a value of one of the classes `plain` only the class is part of a key. Of the
    classes `aggregates` an instance has no attributes but `of_aggregate`.
    """

    def __init__(
        self, *, plain, model, q, safe_string, enum, lazy, aggregates, of_aggregate
    ):
        self.plain = plain
        self.model = model
        self.q = q
        self.safe_string = safe_string
        self.enum = enum
        self.lazy = lazy
        self.aggregates = aggregates
        self.of_aggregate = of_aggregate

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
            aggregate.extra
            or not self.of_aggregate.issuperset(
                <dict> PyObject_GenericGetDict(aggregate, NULL)
            )
            or aggregate.filter is not None
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


cdef tuple by_name(dict kwargs):
    """Items in the order in which `Q(**kwargs)` has them. No two names are the same."""
    return tuple(kwargs.items() if len(kwargs) < 2 else sorted(kwargs.items()))

# On which database the rows of a queryset are.
#
# In: a queryset. Out: the alias; None where somebody has to be asked.
# Next: `known_statements.pxi`.

@cython.final
cdef class Databases:
    """Tells on which database a queryset's rows are.

    `names` has Django's `router`, of the class `kind`, whose methods are its own while
    `watch` holds; `db` is the property of querysets, None if that is not Django's own;
    `default` is the alias where nobody says another.
    """

    def __init__(
        self, dict names not None, ClassWatch watch not None, *, kind, db, default
    ):
        self.names = names
        self.watch = watch
        self.kind = kind
        self.db = db
        self.default = default

    cdef object of(self, queryset, dict values):
        """What `queryset.db` is; None where somebody has to be asked."""
        if type(queryset).db is not self.db:
            return None
        alias = values["_db"]
        if alias:
            return alias
        router = self.names["router"]
        if type(router) is not self.kind or not holds(self.watch):
            return None
        cdef dict own = <dict> PyObject_GenericGetDict(router, NULL)
        routers = own.get("routers")
        # Besides what it was made of: somebody may have given it another method.
        if routers is None or routers or len(own) > 2:
            return None
        instance = (<dict?> values["_hints"]).get("instance")
        return self.default if instance is None else instance._state.db or self.default

# The wrapper of a block's first statement: one that nobody has seen, kept in the pool
# with its connection from one block to the next.
#
# In: a lazy wrapper, or the end of its block. Out: the hidden one, connected; or that
# Python code has to see to it.
# Next: `idle_connections.pxi`.

@cython.final
cdef class HiddenWrappers:
    """Has a lazy wrapper's statements run on a hidden one, to the end of its block.

    `new` makes a hidden one for a lazy wrapper, `build` shows it. With one of `names` of
    its own it is not kept, nor if what `watch_of` returns for its class tells that
    others close it.
    """

    def __init__(self, *, new, build, tuple names, watch_of, entered_scope):
        self.new = new
        self.build = build
        self.names = names
        self.watch_of = watch_of
        self.watches = {}
        self.entered_scope = entered_scope

    cpdef object connect(self, wrapper, replay, entry, session, gate):
        """Return a hidden wrapper, connected to `session`, for the statements of `wrapper`.

        None where Django has to connect. It is the one that the block before has kept,
        or gets the attributes that Django has given another. `wrapper`, which is lazy,
        takes its state over when it is built.
        """
        cdef dict own = <dict> PyObject_GenericGetDict(wrapper, NULL)
        settings, alias, block, _, _ = <tuple> own["_arguments"]
        made = session.spare_wrapper
        session.spare_wrapper = None
        if (
            made is None
            or made.reusable is not replay
            or made.settings_dict is not settings
        ):
            made = self.new(wrapper, replay, entry, session, gate)
            if made is None:
                return None
        cdef dict values = <dict> PyObject_GenericGetDict(made, NULL)
        values["block"], values["_thread_ident"] = block, block.thread
        pool, raw = values["pool"], values["connection"]
        if gate is None:
            # That of the block before has ended, and left nothing in it.
            gate = values["gate"]
            root = gate.root
            root.open, root.place = True, block.place
            gate.units = block.units
        values["gate"] = pool.gate = raw.gate = gate
        raw.returned = False
        own["_arguments"] = settings, alias, block, gate, made
        return made

    def finish_at_once(self, wrapper):
        """End with the block, without waiting; False where a connection is left."""
        cdef dict own
        built = getattr(type(wrapper), "built", None)
        if built is None:
            return True
        if built is False:
            own = <dict> PyObject_GenericGetDict(wrapper, NULL)
            settings, alias, block, _, hidden = <tuple> own["_arguments"]
            if hidden is None or self.keep(hidden):
                own.pop("features", None)  # which has it in turn
                if hidden is not None:
                    # Whoever uses it from here on finds that the block has ended.
                    own["_arguments"] = settings, alias, block, None, None
                return True
            self.build(wrapper)
        return wrapper.finish_at_once()

    cdef bint keep(self, hidden) except -1:
        """Leave it in the pool with its connection; False if it is not as it came."""
        cdef dict values = <dict> PyObject_GenericGetDict(hidden, NULL)
        cdef ClassWatch watch = watch_for(type(hidden), self.watches, self.watch_of)
        for name in self.names:
            if name in values:
                return False
        # Those of its own: to ask for an attribute costs four times as much.
        raw, gate = values["connection"], values["gate"]
        units = gate.units
        if (
            raw is None
            or "reusable" not in values
            or raw.unsettled
            or raw.cursors
            # As `_is_at_rest()` of its class has it. A backend may have them elsewhere.
            or not values.get("autocommit")
            or values.get("in_atomic_block", True)
            or hidden.rollback_atomic is not None
            or gate.innermost is not gate.root
            or gate.busy
            or gate.waiting
            or units.calls
            or values["_thread_ident"] != PyThread_get_thread_ident()
            or not holds(watch)
        ):
            return False
        session, entry = raw.session, values["pool"]._entry
        session.spare_wrapper = hidden
        if not entry.give_at_once(entry.pool, session):
            session.spare_wrapper = None
            return False
        raw.returned = True
        if value_of(self.entered_scope) is None:
            gate.root.open = False
        else:
            gate.end()
        values["block"] = None
        return True

# Which wrapper, and so which connection, a statement of a block is for.
#
# In: an alias. Out: a wrapper of the block that the call is in, connected where an idle
# connection will do; or what Python code finds.
# Next: `hidden_wrappers.pxi`.

@cython.final
cdef class Routes:
    """Finds the wrapper for a statement of a block, connected if it can be.

    `entered_block` is the context variable of this name; `wrapper_for` finds it in any
    case. A block's first connection is taken as Django has taken the one before:
    `connections` and `created` are Django's, of these the signal; `forks` are the globals
    of `drivers/forks.py`; `wait` waits for a connection of the pool, `take` uses one that
    `hidden` does not. Nothing may be waited for between this and the statement.
    """

    def __init__(
        self, Bridge bridge not None, HiddenWrappers hidden not None, *, entered_block,
        wrapper_for, connections, created, dict forks, wait, take,
    ):
        self.bridge = bridge
        self.hidden = hidden
        self.entered_block = entered_block
        self.wrapper_for = wrapper_for
        self.connections = connections
        self.created = created
        self.forks = forks
        self.wait = wait
        self.take = take

    cdef object wrapper(self, alias):
        block = value_of(self.entered_block)
        if block is None or not block.open:
            return self.wrapper_for(alias)
        worker = self.bridge.waiting_worker()
        if worker is None or worker.loop is not block.loop:
            return self.wrapper_for(alias)
        return self.of_block(block, alias)

    cpdef object of_block(self, block, alias):
        """Return the wrapper for a statement that is about to be sent in `block`.

        It may be one that nobody has seen: what tools are shown is its visible one.
        """
        connected = self.built(block, alias)
        if connected is not None:
            return connected
        found = block.wrapper(alias)
        kind = type(found)
        # Perhaps that of another alias: `connections["a"] = connections["b"]`.
        if (
            getattr(kind, "built", None) is not False
            or not block.open
            or block.force_rollback
            or kind.for_alias != alias
        ):
            return found
        replay = kind.replayed_connects.get(alias)
        if replay is None or not self.is_for(replay, self.connections.settings[alias]):
            return found
        entry = self.pool(replay, block.loop, alias)
        if entry is None:
            return found
        session = entry.take_at_once(entry.pool)
        if session is None:
            return self.wait(block, alias, found, replay, entry)
        if not self.created.receivers:
            connected = self.hidden.connect(found, replay, entry, session, None)
        if connected is None:
            return self.take(block, found, replay, entry, session)
        return connected

    cdef bint is_for(self, replay, settings) except -1:
        watch = replay.watch
        if changes != 0 and watch is not None and settings is replay.settings:
            return holds(<ClassWatch?> watch)
        return replay.is_for(settings)

    cdef object pool(self, replay, loop, alias):
        """What is kept for the open pool of a loop and an alias; None if none is open."""
        entry = replay.last_pool()
        if (
            entry is None
            or entry.loop is not loop
            or entry.forgotten
            or entry.forks != self.forks["_forks"]
        ):
            entry = replay.pool(loop, alias)
            if entry is not None:
                replay.last_pool = ref(entry)
        return entry

    cdef object built(self, block, alias):
        """The wrapper of a block that is connected; None for another."""
        wrapper = (<dict?> block.wrappers).get(alias)
        built = getattr(type(wrapper), "built", None)
        if built is True:
            return wrapper
        if built is False:
            # Not by its class's way, which would build it.
            return (<tuple?> PyObject_GenericGetAttr(wrapper, "_arguments"))[4]
        return None

# Whether functions that are called by some names are what they were.

@cython.final
cdef class FunctionWatch:
    """What is in modules by some names, and whether all of it is their own.

    `places` are pairs of a module's dict and a name. `asked()` is called when what is
    there is something else than before; where CPython tells of no changes, that is
    looked for each time.
    """

    def __init__(self, *places, asked):
        self.places = places
        self.asked = asked
        cdef dict values
        for values, name in places:
            watch(<PyObject *> values, (name,))

    def holds(self):
        """Return what `asked()` has answered for what is there now."""
        cdef unsigned long long now = changes
        if self.changes == now != 0:
            return self.answer
        if not has_seen(self):
            seen = tuple([(<dict> at).get(name) for at, name in self.places])
            self.answer = self.asked()
            self.seen = seen  # last: another thread has to ask as well until then
        self.changes = now
        return self.answer


cdef bint has_seen(FunctionWatch self) except -1:
    cdef Py_ssize_t i
    cdef tuple place
    cdef PyObject *seen = <PyObject *> self.seen
    if self.seen is None:
        return False
    for i in range(len(self.places)):
        place = <tuple> self.places[i]
        if (
            PyDict_GetItemWithError(<dict> place[0], place[1])
            != PyTuple_GET_ITEM(seen, i)
        ):
            return False
    return True


cdef inline bint functions_hold(FunctionWatch self) except -1:
    return self.answer if self.changes == changes != 0 else self.holds()

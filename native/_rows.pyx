# cython: language_level=3
# cython: wraparound=False
# cython: auto_pickle=False, autotestdict=False
"""Rows into what a queryset yields, and the iterators that yield it.

A plan says what a row becomes, a batch holds rows, an iterator asks a source for one
batch after the other. No I/O, no Django, no settings: those are the caller's.
Beside them, what has nothing to do with rows: sets of `threading.local` values, and
what a task awaits.
"""
cimport cython
from cpython.dict cimport PyDict_Copy
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject, PyTypeObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.ref cimport Py_INCREF, Py_XDECREF, Py_XINCREF
from libc.limits cimport INT_MAX
from libc.stdint cimport uint8_t, uint64_t, uintptr_t
from libc.string cimport memset

from sys import intern
from time import monotonic_ns


cdef extern from "python_slots.h":
    const char *BUILD_PROFILE
    unsigned int CYTHON_HEX_VERSION
    object steal_reference(PyObject *pointer)
    int propagate_error() except -1
    void raise_stop_iteration(PyObject *stop, PyObject *item) noexcept
    bint can_reuse_stop_iteration(PyObject *stop) noexcept
    void finalize_state(object state) noexcept
    int intern_names() except -1
    object new_state_finalizer(PyTypeObject *state_class)
    void set_await_slots(type cls, void *iternext, void *send) noexcept


include "classes.pxi"
include "changes.pxi"
include "converters.pxi"
include "text_values.pxi"
include "plans.pxi"
include "model_plan.pxi"
include "batches.pxi"
include "iterators.pxi"
include "async_iterator.pxi"
include "thread_locals.pxi"
include "nodes.pxi"
include "step_keys.pxi"
include "paths.pxi"
include "waiting.pxi"
include "bridging.pxi"
include "lookups.pxi"
include "idle_connections.pxi"
include "hidden_wrappers.pxi"
include "routes.pxi"
include "round_trips.pxi"
include "holes.pxi"
include "statements.pxi"
include "saved_values.pxi"
include "literals.pxi"
include "sending.pxi"
include "bound_statements.pxi"
include "reading.pxi"
include "databases.pxi"
include "known_statements.pxi"
include "straight_reads.pxi"


def state_finalizer(state):
    """Do what Django 6.1's `ModelState.__del__` does, without making `fields_cache`."""
    finalize_state(state)


def state_finalizer_for(state_class):
    """Return `state_finalizer` as a `__del__` of `state_class` that costs no call.

    A slot wrapper: CPython takes its C function as the class's finalizer (45 ns a row,
    where any callable costs 110 and Django's 350).
    """
    if not isinstance(state_class, type):
        raise TypeError(f"expected a class, got {state_class!r}")
    return new_state_finalizer(<PyTypeObject *> state_class)


def build_info():
    """Say how this module was built: `cython`, `profile` (release or debug)."""
    cdef unsigned int version = CYTHON_HEX_VERSION
    return {
        "cython": f"{version >> 24}.{version >> 16 & 255}.{version >> 8 & 255}",
        "profile": BUILD_PROFILE.decode(),
    }


intern_names()

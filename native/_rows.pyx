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


cdef extern from "Python.h":
    ctypedef object (*allocfunc)(PyTypeObject *cls, Py_ssize_t items)
    ctypedef object (*unaryfunc)(object)
    ctypedef struct AsyncSlots "PyAsyncMethods":
        unaryfunc am_await
    # Of a class, what Cython's PyTypeObject does not show.
    ctypedef struct ClassStruct "PyTypeObject":
        allocfunc tp_alloc
        AsyncSlots *tp_as_async
        unsigned int tp_version_tag
        unsigned long tp_flags
        PyObject *tp_dict
        PyObject *tp_mro


cdef extern from "python_slots.h":
    const char *BUILD_PROFILE
    unsigned int CYTHON_HEX_VERSION
    object steal_reference(PyObject *pointer)
    int propagate_error() except -1
    void raise_stop_iteration(PyObject *stop, PyObject *item) noexcept
    bint can_reuse_stop_iteration(PyObject *stop) noexcept
    void set_await_slots(type cls, void *iternext, void *send) noexcept


include "class_watches.pxi"
include "function_watches.pxi"
include "attribute_hooks.pxi"
include "converters.pxi"
include "text_values.pxi"
include "plans.pxi"
include "model_plan.pxi"
include "state_finalizer.pxi"
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
include "templates.pxi"
include "query_strings.pxi"
include "requests.pxi"
include "headers.pxi"
include "responses.pxi"
include "python_functions.pxi"
include "own_values.pxi"
include "regex_texts.pxi"
include "resolver_matches.pxi"
include "url_matching.pxi"
include "url_resolving.pxi"
include "url_reversing.pxi"
include "url_nodes.pxi"
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


def build_info():
    """Say how this module was built: `cython`, `profile` (release or debug)."""
    cdef unsigned int version = CYTHON_HEX_VERSION
    return {
        "cython": f"{version >> 24}.{version >> 16 & 255}.{version >> 8 & 255}",
        "profile": BUILD_PROFILE.decode(),
    }

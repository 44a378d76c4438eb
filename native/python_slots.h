/* What Cython has no words for: slots filled after the type is made, and StopIteration
 * handed over without the cost of raising it. */
#ifndef DJANGO_ASYNC_FAST_PYTHON_SLOTS_H
#define DJANGO_ASYNC_FAST_PYTHON_SLOTS_H

#include <Python.h>

#if defined(NDEBUG) && (defined(__OPTIMIZE__) || defined(_MSC_VER))
#define BUILD_PROFILE "release"
#else
#define BUILD_PROFILE "debug"
#endif

/* A new reference, given to Cython as the object it is. */
#define steal_reference(pointer) (pointer)
/* The error that is set, as the result of a function declared `except -1`. */
#define propagate_error() (-1)

/* Raise `stop` with `item` (stolen) as its value. The old value goes last: freeing it
 * may run anything, and by then the exception is no longer free to be reused. */
static inline void
raise_stop_iteration(PyObject *stop, PyObject *item)
{
    PyObject *old = ((PyStopIterationObject *)stop)->value;
    ((PyStopIterationObject *)stop)->value = item;
    Py_INCREF(stop);
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(stop);
#else
    Py_INCREF(PyExc_StopIteration);
    PyErr_Restore(PyExc_StopIteration, stop, NULL);
#endif
    Py_XDECREF(old);
}

/* Whether nobody but the iterator holds `stop` (or None) and nothing clings to it. */
static inline int
can_reuse_stop_iteration(PyObject *stop)
{
    PyBaseExceptionObject *exception = (PyBaseExceptionObject *)stop;
    return stop != Py_None && Py_REFCNT(stop) == 1 && !exception->traceback
           && !exception->context && !exception->cause && !exception->dict;
}

/* The slots SEND, PyIter_Send and `yield from` use. The method `__next__` keeps
 * Cython's function, which does the same. */
static void
set_await_slots(PyTypeObject *type, iternextfunc iternext, sendfunc send)
{
    type->tp_iternext = iternext;
    type->tp_as_async->am_send = send;
}

#endif

/* What Django 6.1's ModelState.__del__ does, in C. */
#ifndef DJANGO_ASYNC_FAST_STATE_FINALIZER_H
#define DJANGO_ASYNC_FAST_STATE_FINALIZER_H

#include <Python.h>

#include "inline_values.h"

static PyObject *fields_cache_name;
static PyTypeObject *finalized_class; /* borrowed: only compared */

static int
intern_names(void)
{
    fields_cache_name = PyUnicode_InternFromString("fields_cache");
    return fields_cache_name == NULL ? -1 : 0;
}

static int
stop_at_filled_dict(PyObject *value, void *Py_UNUSED(argument))
{
    return PyDict_Check(value) && PyDict_GET_SIZE(value) != 0;
}

/* Looking the attribute up would have Django's descriptor make the dict, and asking for
 * __dict__ would make that. tp_traverse sees the values and makes nothing; the class
 * itself, which has no slots, need not go through it (20 ns). */
static int
has_filled_cache(PyObject *state)
{
    int found = Py_TYPE(state) == finalized_class
                    ? any_inline_value(state, stop_at_filled_dict) : -1;
    traverseproc traverse = Py_TYPE(state)->tp_traverse;
    if (found < 0 && traverse != NULL) {
        found = traverse(state, stop_at_filled_dict, NULL);
    }
    return found > 0;
}

/* ModelState.__del__: fields_cache.clear(), if there is one. */
static void
finalize_state(PyObject *state)
{
    if (!has_filled_cache(state)) {
        return;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *cache = PyObject_GetAttr(state, fields_cache_name);
    if (cache != NULL && PyDict_Check(cache)) {
        PyDict_Clear(cache);
    }
    Py_XDECREF(cache);
    PyErr_Restore(type, value, traceback);
}

/* A `__del__` for `state_class` that its tp_finalize slot calls without a Python call:
 * CPython puts the C function of a slot wrapper straight into the slot. */
static PyObject *
new_state_finalizer(PyTypeObject *state_class)
{
    PyObject *model = PyObject_GetAttrString((PyObject *)&PyGen_Type, "__del__");
    if (model == NULL) {
        return NULL;
    }
    if (!Py_IS_TYPE(model, &PyWrapperDescr_Type)) {
        Py_DECREF(model);
        PyErr_SetString(PyExc_TypeError, "generator.__del__ is no slot wrapper");
        return NULL;
    }
    finalized_class = state_class;
    PyObject *finalizer = PyDescr_NewWrapper(
        state_class, ((PyWrapperDescrObject *)model)->d_base, (void *)finalize_state);
    Py_DECREF(model);
    return finalizer;
}

#endif

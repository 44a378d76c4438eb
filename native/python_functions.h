/* A Python function of which calls run something else, as CPython 3.12 and later let.
 *
 * It stays a Python function for whoever looks at it: unittest.mock's autospec and
 * inspect know no other that binds `self`. Its own code runs where its arguments are not
 * all given by place, and once somebody has given it other code. */
#ifndef DJANGO_ASYNC_FAST_PYTHON_FUNCTIONS_H
#define DJANGO_ASYNC_FAST_PYTHON_FUNCTIONS_H

#include <Python.h>

#if PY_VERSION_HEX >= 0x030C0000

/* As many as there are, and some for tests. */
#define REPLACED_CALLS 64

typedef struct {
    PyObject *function, *code, *run;
    Py_ssize_t least, most; /* arguments */
    vectorcallfunc otherwise;
} replaced_call;

static replaced_call replaced_calls[REPLACED_CALLS];
static int replaced_calls_count;

static PyObject *
call_replaced(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *names)
{
    const replaced_call *call = replaced_calls;
    while (call->function != function) {
        call++; /* it is there: only these are called here */
    }
    Py_ssize_t given = PyVectorcall_NARGS(nargsf);
    if (names != NULL || given < call->least || given > call->most
        || PyFunction_GET_CODE(function) != call->code) {
        return call->otherwise(function, args, nargsf, names);
    }
    PyObject *run = Py_NewRef(call->run); /* another may come in its place meanwhile */
    PyObject *result = PyObject_Vectorcall(run, args, nargsf, NULL);
    Py_DECREF(run);
    return result;
}

/* Have calls of `function` run `run`; 0 where they cannot. A function is never freed. */
static int
replace_calls(PyObject *function, PyObject *run, Py_ssize_t least, Py_ssize_t most)
{
    replaced_call *call = replaced_calls;
    while (call < replaced_calls + replaced_calls_count) {
        if (call->function == function) {
            Py_SETREF(call->run, Py_NewRef(run));
            return 1;
        }
        call++;
    }
    if (replaced_calls_count == REPLACED_CALLS) {
        return 0;
    }
    call->function = Py_NewRef(function);
    call->code = Py_NewRef(PyFunction_GET_CODE(function));
    call->run = Py_NewRef(run);
    call->least = least;
    call->most = most;
    call->otherwise = ((PyFunctionObject *)function)->vectorcall;
    replaced_calls_count++;
    PyFunction_SetVectorcall((PyFunctionObject *)function, call_replaced);
    return 1;
}

#else

static int
replace_calls(PyObject *Py_UNUSED(function), PyObject *Py_UNUSED(run),
              Py_ssize_t Py_UNUSED(least), Py_ssize_t Py_UNUSED(most))
{
    return 0;
}

#endif
#endif

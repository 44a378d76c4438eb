# Functions of the core in place of Django's that stay Python functions.
#
# In: a function of Django's, and one of the core that does the same. Out: a copy of the
# former, which runs the latter; or the latter itself, where CPython cannot do that.

from functools import update_wrapper
from types import FunctionType


cdef extern from "python_functions.h":
    bint replace_calls(object function, object run, Py_ssize_t least, Py_ssize_t most)


cdef enum:
    CO_VARARGS = 4
    CO_VARKEYWORDS = 8


# What has been made of functions.
cdef dict python_functions = {}


def python_function(before, run):
    """Return what may stand for `before`, a function, and runs `run`.

    It is one for each `before`, and runs what was given last.
    """
    if type(before) is not FunctionType:
        return update_wrapper(run, before)
    code, defaults = before.__code__, before.__defaults__ or ()
    if code.co_kwonlyargcount or code.co_flags & (CO_VARARGS | CO_VARKEYWORDS):
        return update_wrapper(run, before)
    name, of = before.__name__, before.__globals__
    found = python_functions.get(before)
    if found is None or found.__code__ is not code:
        found = FunctionType(code, of, name, before.__defaults__, before.__closure__)
    most = code.co_argcount
    if not replace_calls(found, run, most - len(defaults), most):
        return update_wrapper(run, before)
    python_functions[before] = found
    return update_wrapper(found, before)

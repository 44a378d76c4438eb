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


def python_function(before, run):
    """Return what may stand for `before`, a function, and runs `run`."""
    if type(before) is not FunctionType:
        return update_wrapper(run, before)
    code, defaults = before.__code__, before.__defaults__ or ()
    if code.co_kwonlyargcount or code.co_flags & (CO_VARARGS | CO_VARKEYWORDS):
        return update_wrapper(run, before)
    name, of = before.__name__, before.__globals__
    found = FunctionType(code, of, name, before.__defaults__, before.__closure__)
    most = code.co_argcount
    if not replace_calls(found, run, most - len(defaults), most):
        found = run
    return update_wrapper(found, before)

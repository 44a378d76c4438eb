# The values of an instance that is saved, as parameters of its statement.
#
# In: the instance's attributes, and the columns. Out: the parameters, None where Python
# code is to make them. Next: `literals.pxi`.

def saved_values(dict values not None, list columns not None):
    """Return the parameters of columns, each (name, kinds, ...).

    `kinds` has by class of values what makes a parameter of one, None for the value
    itself. None where a class is not there.
    """
    cdef list found = []
    cdef PyObject *value
    cdef PyObject *wrap
    for column in columns:
        value = PyDict_GetItemWithError(values, (<tuple> column)[0])
        if value is NULL:
            return None
        each = <object> value
        wrap = PyDict_GetItemWithError((<tuple> column)[1], type(each))
        if wrap is NULL:
            return None
        if <object> wrap is not None:
            try:
                each = (<object> wrap)(each)
            except KeyError:
                return None
        found.append(each)
    return found

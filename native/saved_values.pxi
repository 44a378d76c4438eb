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
    cdef tuple column
    for column in columns:
        value = values.get(column[0], ABSENT)
        wrap = (<dict?> column[1]).get(type(value), ABSENT)
        if wrap is ABSENT:
            return None
        if wrap is not None:
            try:
                value = wrap(value)
            except KeyError:
                return None
        found.append(value)
    return found

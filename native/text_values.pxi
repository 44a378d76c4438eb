# What MySQL sends as text, made into what its driver gives for it.
#
# In: the text of a value of a known type.
# Out: a date, a time or both. Text in another form than the server prints of a value
# that there is goes to the function that the driver has for it.
# Next: Django's converters (`converters.pxi`).


cdef class TextReader:
    """Called with a value's text, returns the value."""

    def __init__(self, otherwise not None):
        self.otherwise = otherwise


@cython.final
cdef class DateText(TextReader):
    def __call__(self, text):
        found = date_of(text)
        return self.otherwise(text) if found is None else found


@cython.final
cdef class TimeText(TextReader):
    def __call__(self, text):
        found = time_of(text)
        return self.otherwise(text) if found is None else found


@cython.final
cdef class DateTimeText(TextReader):
    def __call__(self, text):
        found = datetime_of(text, None)
        return self.otherwise(text) if found is None else found

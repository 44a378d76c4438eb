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
        cdef Py_ssize_t size = 0
        cdef const char *characters = ascii_text(text, &size)
        cdef Day day
        if characters is not NULL and size == 10 and read_day(characters, &day):
            return date_new(day.year, day.month, day.day)
        return self.otherwise(text)


@cython.final
cdef class TimeText(TextReader):
    def __call__(self, text):
        cdef Py_ssize_t size = 0
        cdef const char *characters = ascii_text(text, &size)
        cdef Clock clock
        if characters is not NULL and read_clock(characters, size, &clock):
            return time_new(
                clock.hour, clock.minute, clock.second, clock.microsecond, None
            )
        return self.otherwise(text)


@cython.final
cdef class DateTimeText(TextReader):
    def __call__(self, text):
        cdef Py_ssize_t size = 0
        cdef const char *characters = ascii_text(text, &size)
        if characters is not NULL:
            found = read_datetime(characters, size, None)
            if found is not None:
                return found
        return self.otherwise(text)

# What a driver gives, made into what Django gives, without a call of Python code.
#
# In: a value of a driver that knows fewer types than Django: SQLite, MySQL.
# Out: what a converter of the backend's operations returns for it. A value in another
# form than Django writes is left to that converter.
# Next: the plan, which builds the row.

from cpython.datetime cimport (
    PyDate_CheckExact, PyDateTime_CheckExact, PyTime_CheckExact, date_new, datetime,
    datetime_new, import_datetime, time_new,
)
from datetime import timedelta
from decimal import Context, Decimal
from uuid import UUID, SafeUUID

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept
    void *PyUnicode_DATA(object text) noexcept
    int PyObject_GenericSetAttr(object obj, object name, object value) except -1
    bint PyLong_CheckExact(object obj) noexcept
    object PyLong_FromString(const char *text, char **end, int base)
    bint PyFloat_CheckExact(object obj) noexcept
    bint PyUnicode_CheckExact(object obj) noexcept

import_datetime()

cdef object UNKNOWN_SAFETY = SafeUUID.unknown

# A number that is none.
cdef enum:
    NO_DIGITS = -1

cdef int *MONTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


cdef inline const char *ascii_text(object value, Py_ssize_t *size) noexcept:
    """The characters of a str that is ASCII, else NULL."""
    if not PyUnicode_CheckExact(value) or not PyUnicode_IS_COMPACT_ASCII(value):
        return NULL
    size[0] = PyUnicode_GET_LENGTH(value)
    return <const char *> PyUnicode_DATA(value)


cdef inline int two_digits(const char *text) noexcept:
    cdef int tens = text[0] - c"0"
    cdef int ones = text[1] - c"0"
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else NO_DIGITS


cdef inline int four_digits(const char *text) noexcept:
    cdef int high = two_digits(text)
    cdef int low = two_digits(text + 2)
    return high * 100 + low if high >= 0 and low >= 0 else NO_DIGITS


cdef struct Day:
    int year
    int month
    int day


cdef struct Clock:
    int hour
    int minute
    int second
    int microsecond


cdef bint read_day(const char *text, Day *day) noexcept:
    """Read `2026-11-28`; tell whether there is such a day."""
    cdef int last
    day.year = four_digits(text)
    day.month = two_digits(text + 5)
    day.day = two_digits(text + 8)
    if (
        text[4] != c"-" or text[7] != c"-"
        or day.year < 1 or not 1 <= day.month <= 12
    ):
        return False
    last = MONTHS[day.month - 1]
    if day.month == 2 and day.year % 4 == 0:
        last += day.year % 100 != 0 or day.year % 400 == 0
    return 1 <= day.day <= last


cdef bint read_clock(const char *text, Py_ssize_t size, Clock *clock) noexcept:
    """Read `12:34:56` or `12:34:56.123456`."""
    cdef int high, low, least
    if size != 8 and size != 15:
        return False
    clock.hour = two_digits(text)
    clock.minute = two_digits(text + 3)
    clock.second = two_digits(text + 6)
    clock.microsecond = 0
    if size == 15:
        high, low = two_digits(text + 9), two_digits(text + 11)
        least = two_digits(text + 13)
        if text[8] != c"." or high < 0 or low < 0 or least < 0:
            return False
        clock.microsecond = high * 10000 + low * 100 + least
    return (
        text[2] == c":" and text[5] == c":"
        and 0 <= clock.hour <= 23 and 0 <= clock.minute <= 59
        and 0 <= clock.second <= 59
    )


cdef object date_of(text):
    """The date that a text is, None for another text."""
    cdef Py_ssize_t size = 0
    cdef const char *characters = ascii_text(text, &size)
    cdef Day day
    if characters is not NULL and size == 10 and read_day(characters, &day):
        return date_new(day.year, day.month, day.day)
    return None


cdef object time_of(text):
    """The time that a text is, None for another text."""
    cdef Py_ssize_t size = 0
    cdef const char *characters = ascii_text(text, &size)
    cdef Clock clock
    if characters is not NULL and read_clock(characters, size, &clock):
        return time_new(clock.hour, clock.minute, clock.second, clock.microsecond, None)
    return None


cdef object datetime_of(text, zone):
    """The day and time, with a space between, that a text is; None for another text."""
    cdef Py_ssize_t size = 0
    cdef const char *characters = ascii_text(text, &size)
    cdef Day day
    cdef Clock clock
    if (
        characters is not NULL
        and size >= 19
        and read_day(characters, &day)
        and characters[10] == c" "
        and read_clock(characters + 11, size - 11, &clock)
    ):
        return datetime_new(
            day.year, day.month, day.day, clock.hour, clock.minute, clock.second,
            clock.microsecond, zone,
        )
    return None


cdef object made_aware(object value, zone):
    """A naive datetime in a time zone; None for what is no such datetime."""
    if (
        not PyDateTime_CheckExact(value)
        or (<datetime> value).tzinfo is not None
        or (<datetime> value).fold
    ):
        return None
    return datetime_new(
        (<datetime> value).year, (<datetime> value).month, (<datetime> value).day,
        (<datetime> value).hour, (<datetime> value).minute, (<datetime> value).second,
        (<datetime> value).microsecond, zone,
    )


cdef class CompiledConverter:
    """A converter of Django's, compiled. `name` is that of the operations' method.

    Called, it converts one value. A converter has no connection: the plan that has it
    may be kept.
    """

    def __init__(self, str name not None):
        self.name = name

    def __call__(self, value, expression, connection):
        return self.convert(value, expression, connection, connection.timezone)

    cdef object convert(self, object value, object expression, object connection, zone):
        """What Django makes of `value`; `zone` is `connection.timezone`."""
        if value is None:
            return None
        return self.ask(value, expression, connection)

    cdef object ask(self, object value, object expression, object connection):
        return getattr(connection.ops, self.name)(value, expression, connection)


@cython.final
cdef class BooleanConverter(CompiledConverter):
    cdef object convert(self, object value, object expression, object connection, zone):
        if value is None or value is True or value is False:
            return value
        if PyLong_CheckExact(value):
            if value == 1:
                return True
            return False if value == 0 else value
        return self.ask(value, expression, connection)


@cython.final
cdef class DateConverter(CompiledConverter):
    cdef object convert(self, object value, object expression, object connection, zone):
        if value is None or PyDate_CheckExact(value):
            return value
        found = date_of(value)
        return self.ask(value, expression, connection) if found is None else found


@cython.final
cdef class TimeConverter(CompiledConverter):
    cdef object convert(self, object value, object expression, object connection, zone):
        if value is None or PyTime_CheckExact(value):
            return value
        found = time_of(value)
        return self.ask(value, expression, connection) if found is None else found


@cython.final
cdef class DateTimeConverter(CompiledConverter):
    cdef object convert(self, object value, object expression, object connection, zone):
        if value is None or (zone is None and PyDateTime_CheckExact(value)):
            return value
        found = datetime_of(value, zone)
        if found is None:
            found = made_aware(value, zone)
        return self.ask(value, expression, connection) if found is None else found


@cython.final
cdef class AwareConverter(CompiledConverter):
    """Of datetimes of the connection's zone, which do not know it."""

    cdef object convert(self, object value, object expression, object connection, zone):
        if value is None:
            return None
        found = None if zone is None else made_aware(value, zone)
        return self.ask(value, expression, connection) if found is None else found


cdef inline bint is_digit(char character) noexcept:
    return c"0" <= character <= c"9" or c"a" <= character <= c"f"


cdef bint read_digits(const char *text, Py_ssize_t size, char *digits) noexcept:
    """Read 32 hexadecimal digits, in one piece or with four dashes between them."""
    cdef Py_ssize_t i, found = 0
    if size != 32 and size != 36:
        return False
    for i in range(size):
        if size == 36 and (i == 8 or i == 13 or i == 18 or i == 23):
            if text[i] != c"-":
                return False
        elif is_digit(text[i]):
            digits[found] = text[i]
            found += 1
        else:
            return False
    digits[32] = 0
    return True


@cython.final
cdef class UUIDConverter(CompiledConverter):
    """Of the 32 hexadecimal digits that Django writes, or that MariaDB prints."""

    cdef object convert(self, object value, object expression, object connection, zone):
        cdef Py_ssize_t size = 0
        cdef const char *text
        cdef char digits[33]
        if value is None:
            return None
        text = ascii_text(value, &size)
        if text is not NULL and read_digits(text, size, digits):
            found = allocate(UUID)
            PyObject_GenericSetAttr(found, "int", PyLong_FromString(digits, NULL, 16))
            PyObject_GenericSetAttr(found, "is_safe", UNKNOWN_SAFETY)
            return found
        return self.ask(value, expression, connection)


@cython.final
cdef class DurationConverter(CompiledConverter):
    """Of microseconds."""

    cdef object convert(self, object value, object expression, object connection, zone):
        if value is None:
            return None
        if PyLong_CheckExact(value):
            return timedelta(0, 0, value)
        return self.ask(value, expression, connection)


@cython.final
cdef class DecimalConverter(CompiledConverter):
    """Of floats, which SQLite keeps in the place of decimals.

    `precision` digits count, those of an int or a str too unless they are `exact`; with
    `quantum` the result is quantized in `context`. The operations' method `name`
    returns the converter for an expression.
    """

    def __init__(
        self, str name not None, int precision, bint exact, quantum=None, context=None
    ):
        CompiledConverter.__init__(self, name)
        self.create = Context(prec=precision).create_decimal_from_float
        self.create_of_digits = Decimal if exact else self.create
        self.quantum = quantum
        self.context = context

    cdef object convert(self, object value, object expression, object connection, zone):
        if value is None:
            return None
        if PyFloat_CheckExact(value):
            value = self.create(value)
        elif PyLong_CheckExact(value) or PyUnicode_CheckExact(value):
            value = self.create_of_digits(value)
        else:
            converter = getattr(connection.ops, self.name)(expression)
            return converter(value, expression, connection)
        if self.quantum is None:
            return value
        return value.quantize(self.quantum, None, self.context)

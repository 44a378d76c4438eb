//! Python's C API of the `datetime` module, for the files of its types.

use super::value::{owned, Value};
use crate::fault::Fault;
use pyo3::ffi;
use pyo3::prelude::*;
use std::borrow::Cow;
use std::ffi::c_int;
use std::ptr;
use wire::calendar::{Clock, Day, OutOfRange, DAY};

/// The table of functions that `datetime` exports, found once per decoder.
#[derive(Clone, Copy)]
pub struct Datetime(&'static ffi::PyDateTime_CAPI);

impl Datetime {
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        // SAFETY: the table lives as long as the process, once it is imported.
        let table = unsafe {
            ffi::PyDateTime_IMPORT();
            ffi::PyDateTimeAPI().as_ref()
        };
        table.map(Self).ok_or_else(|| PyErr::fetch(py))
    }

    #[inline]
    pub fn date(self, py: Python<'_>, day: Day) -> Result<Value, Fault> {
        let (year, month, day) = (day.year, day.month.into(), day.day.into());
        // SAFETY: returns a new reference or NULL, checking the ranges of its arguments.
        unsafe { owned(py, (self.0.Date_FromDate)(year, month, day, self.0.DateType)) }
    }

    /// A datetime; `tzinfo` is borrowed and may be None.
    ///
    /// # Safety
    /// `tzinfo` is alive.
    #[inline]
    pub unsafe fn datetime(
        self,
        py: Python<'_>,
        day: Day,
        clock: Clock,
        tzinfo: *mut ffi::PyObject,
    ) -> Result<Value, Fault> {
        let (year, month, day) = (day.year, day.month.into(), day.day.into());
        let (hour, minute) = (clock.hour.into(), clock.minute.into());
        let (second, micro) = (clock.second.into(), clock.micro.cast_signed());
        let class = self.0.DateTimeType;
        // SAFETY: as for `date`; the tzinfo is the caller's.
        unsafe {
            let new = self.0.DateTime_FromDateAndTime;
            owned(py, new(year, month, day, hour, minute, second, micro, tzinfo, class))
        }
    }

    /// `value.replace(tzinfo=tzinfo)`, which keeps `fold`. Gives the reference to `value`
    /// away, and borrows `tzinfo`.
    ///
    /// # Safety
    /// Both are alive.
    pub unsafe fn replace(
        self,
        py: Python<'_>,
        value: Value,
        tzinfo: *mut ffi::PyObject,
    ) -> Result<Value, Fault> {
        // SAFETY: `value` is Py_DECREF'd by `Bound` and its type is checked before its
        // fields are read.
        unsafe {
            let value = Bound::from_owned_ptr(py, value.as_ptr());
            let fields = value.as_ptr();
            if ffi::PyDateTime_Check(fields) == 0 {
                let class = value.get_type();
                let error = format!("tzinfo.fromutc() returned {class}, not a datetime");
                return Err(pyo3::exceptions::PyTypeError::new_err(error).into());
            }
            if ffi::PyDateTime_DATE_GET_TZINFO(fields) == tzinfo {
                return Ok(ptr::NonNull::new_unchecked(value.into_ptr()));
            }
            let replaced = (self.0.DateTime_FromDateAndTimeAndFold)(
                ffi::PyDateTime_GET_YEAR(fields),
                ffi::PyDateTime_GET_MONTH(fields),
                ffi::PyDateTime_GET_DAY(fields),
                ffi::PyDateTime_DATE_GET_HOUR(fields),
                ffi::PyDateTime_DATE_GET_MINUTE(fields),
                ffi::PyDateTime_DATE_GET_SECOND(fields),
                ffi::PyDateTime_DATE_GET_MICROSECOND(fields),
                tzinfo,
                c_int::from(ffi::PyDateTime_DATE_GET_FOLD(fields)),
                self.0.DateTimeType,
            );
            owned(py, replaced)
        }
    }

    /// A time of day; `tzinfo` is borrowed and may be None.
    ///
    /// # Safety
    /// `tzinfo` is alive.
    pub unsafe fn time(
        self,
        py: Python<'_>,
        clock: Clock,
        tzinfo: *mut ffi::PyObject,
    ) -> Result<Value, Fault> {
        let (hour, minute) = (clock.hour.into(), clock.minute.into());
        let (second, micro) = (clock.second.into(), clock.micro.cast_signed());
        let class = self.0.TimeType;
        // SAFETY: as for `date`; the tzinfo is the caller's.
        unsafe {
            let new = self.0.Time_FromTime;
            owned(py, new(hour, minute, second, micro, tzinfo, class))
        }
    }

    /// A timedelta of normalised fields.
    pub fn delta(
        self,
        py: Python<'_>,
        days: c_int,
        seconds: c_int,
        micros: c_int,
    ) -> Result<Value, Fault> {
        // SAFETY: as for `date`; the caller has normalised the fields.
        unsafe {
            let new = self.0.Delta_FromDelta;
            owned(py, new(days, seconds, micros, 0, self.0.DeltaType))
        }
    }

    /// The day of a `date` or `datetime`, and of no subclass but these two.
    #[inline]
    pub fn day_of(self, value: &Bound<'_, PyAny>, class: *mut ffi::PyTypeObject) -> Option<Day> {
        let object = value.as_ptr();
        if value.get_type_ptr() != class {
            return None;
        }
        // SAFETY: an instance of either class begins with the fields of a date.
        let (year, month, day) = unsafe {
            (
                ffi::PyDateTime_GET_YEAR(object),
                ffi::PyDateTime_GET_MONTH(object),
                ffi::PyDateTime_GET_DAY(object),
            )
        };
        Day::new(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
    }

    /// Microseconds from 2000-01-01 00:00 to the fields of a `datetime`, whatever its
    /// tzinfo is, which is borrowed; `None` for a subclass.
    #[inline]
    pub fn micros_of(self, value: &Bound<'_, PyAny>) -> Option<(i64, *mut ffi::PyObject)> {
        let object = value.as_ptr();
        let day = self.day_of(value, self.0.DateTimeType)?;
        // SAFETY: `day_of` has looked at its class.
        let (seconds, micros, tzinfo) = unsafe {
            let minutes = i64::from(ffi::PyDateTime_DATE_GET_HOUR(object)) * 60
                + i64::from(ffi::PyDateTime_DATE_GET_MINUTE(object));
            (
                minutes * 60 + i64::from(ffi::PyDateTime_DATE_GET_SECOND(object)),
                i64::from(ffi::PyDateTime_DATE_GET_MICROSECOND(object)),
                ffi::PyDateTime_DATE_GET_TZINFO(object),
            )
        };
        Some((day.days() * DAY + seconds * 1_000_000 + micros, tzinfo))
    }

    /// Microseconds from midnight to a `time` without tzinfo; `None` for others.
    #[inline]
    pub fn micros_of_time(self, value: &Bound<'_, PyAny>) -> Option<i64> {
        let object = value.as_ptr();
        if value.get_type_ptr() != self.0.TimeType {
            return None;
        }
        // SAFETY: its class has been looked at; None is alive.
        unsafe {
            if ffi::PyDateTime_TIME_GET_TZINFO(object) != ffi::Py_None() {
                return None;
            }
            let minutes = i64::from(ffi::PyDateTime_TIME_GET_HOUR(object)) * 60
                + i64::from(ffi::PyDateTime_TIME_GET_MINUTE(object));
            let seconds = minutes * 60 + i64::from(ffi::PyDateTime_TIME_GET_SECOND(object));
            Some(seconds * 1_000_000 + i64::from(ffi::PyDateTime_TIME_GET_MICROSECOND(object)))
        }
    }

    /// Days, seconds and microseconds of a `timedelta`; `None` for a subclass.
    #[inline]
    pub fn parts_of(self, value: &Bound<'_, PyAny>) -> Option<(i32, i64, i64)> {
        let object = value.as_ptr();
        if value.get_type_ptr() != self.0.DeltaType {
            return None;
        }
        // SAFETY: its class has been looked at.
        unsafe {
            Some((
                ffi::PyDateTime_DELTA_GET_DAYS(object),
                ffi::PyDateTime_DELTA_GET_SECONDS(object).into(),
                ffi::PyDateTime_DELTA_GET_MICROSECONDS(object).into(),
            ))
        }
    }

    /// The class `date`.
    pub fn date_type(self) -> *mut ffi::PyTypeObject {
        self.0.DateType
    }

    /// `datetime.UTC`, which always exists.
    #[inline]
    pub fn utc(self) -> *mut ffi::PyObject {
        self.0.TimeZone_UTC
    }

    /// `timezone(timedelta(seconds=east))`.
    pub fn timezone(self, py: Python<'_>, east: i32) -> Result<Bound<'_, PyAny>, Fault> {
        let (days, seconds) = (east.div_euclid(86_400), east.rem_euclid(86_400));
        let offset = self.delta(py, days, seconds, 0)?;
        // SAFETY: the offset is ours; a NULL name is allowed.
        unsafe {
            let offset = Bound::from_owned_ptr(py, offset.as_ptr());
            let zone = (self.0.TimeZone_FromTimeZone)(offset.as_ptr(), ptr::null_mut());
            Ok(Bound::from_owned_ptr(py, owned(py, zone)?.as_ptr()))
        }
    }
}

/// Types whose values need the `datetime` module and nothing else.
macro_rules! of_datetime {
    ($($(#[$what:meta])* $name:ident;)+) => {$(
        $(#[$what])*
        pub struct $name($crate::types::datetime::Datetime);

        impl $name {
            pub fn new(py: Python<'_>) -> PyResult<Self> {
                $crate::types::datetime::Datetime::new(py).map(Self)
            }
        }
    )+};
}
pub(crate) use of_datetime;

/// A value's own text, for an error.
#[cold]
pub fn printed(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// The error for a `what` that PostgreSQL prints as `text`, in psycopg's words.
#[cold]
pub fn out_of_range(what: &str, why: OutOfRange, text: &str) -> Fault {
    Fault::data(match why {
        OutOfRange::TooSmall => format!("{what} too small (before year 1): '{text}'"),
        OutOfRange::TooLarge => format!("{what} too large (after year 10K): '{text}'"),
    })
}

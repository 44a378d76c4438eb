//! Python's C API of the `datetime` module, for the files of its types.

use super::value::{owned, Value};
use crate::fault::Fault;
use pyo3::ffi;
use pyo3::prelude::*;
use std::borrow::Cow;
use std::ffi::c_int;
use std::ptr;
use wire::calendar::{Clock, Day, OutOfRange};

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
        unsafe {
            owned(
                py,
                (self.0.Date_FromDate)(year, month, day, self.0.DateType),
            )
        }
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
            owned(
                py,
                new(year, month, day, hour, minute, second, micro, tzinfo, class),
            )
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

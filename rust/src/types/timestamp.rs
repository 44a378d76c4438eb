//! `timestamp` and `timestamptz`.
//!
//! Django reads a timestamptz in the session's time zone and then replaces the tzinfo by
//! the connection's (or by None). With the session in UTC, where Django puts it unless told
//! otherwise, both steps are one; otherwise the value goes through the session's zone.

use super::datetime::{of_datetime, out_of_range, printed, Datetime};
use super::decode::{either, Decode, Parse};
use super::encode::Encode;
use super::session::Session;
use super::value::{call, Value};
use crate::fault::Fault;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDelta, PyDeltaAccess, PyTzInfo};
use wire::calendar::{print_timestamp, split, timestamp, Clock, Day, OutOfRange};
use wire::text::calendar as text;

of_datetime! {
    Timestamp;
}

impl Decode for Timestamp {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let (day, clock) = in_python(timestamp(data)?, None)?;
        self.at(py, day, clock)
    }
}

impl Parse for Timestamp {
    #[inline]
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        match text::timestamp(data)? {
            Ok((day, clock)) => self.at(py, day, clock),
            Err(why) => Err(out_of_range("timestamp", why, &printed(data))),
        }
    }
}

impl Timestamp {
    #[inline]
    fn at(&self, py: Python<'_>, day: Day, clock: Clock) -> Result<Value, Fault> {
        // SAFETY: None is alive.
        unsafe { self.0.datetime(py, day, clock, ffi::Py_None()) }
    }
}

/// Date and time of day; `east` is what the server prints in UTC, for an error.
#[inline]
fn in_python(micros: i64, east: Option<i32>) -> Result<(Day, Clock), Fault> {
    let (days, of_day) = split(micros);
    match Day::in_python(days) {
        Ok(day) => Ok((day, Clock::of(of_day))),
        Err(why) => Err(out_of_range("timestamp", why, &print_timestamp(micros, east))),
    }
}

pub fn timestamptz(py: Python<'_>, session: &Session) -> PyResult<Box<dyn Decode>> {
    let datetime = Datetime::new(py)?;
    let tzinfo = match &session.timezone {
        Some(timezone) => timezone.clone_ref(py).into_any(),
        None => py.None(),
    };
    Ok(match &session.zone {
        None => either(session, TimestamptzUtc { datetime, tzinfo }),
        Some(zone) => {
            let in_zone = TimestamptzIn {
                datetime,
                tzinfo,
                zone: zone.clone_ref(py),
                from_utc: zone.getattr(py, intern!(py, "fromutc"))?,
            };
            either(session, in_zone)
        }
    })
}

/// A timestamptz of a session in UTC.
struct TimestamptzUtc {
    datetime: Datetime,
    tzinfo: Py<PyAny>,
}

impl Decode for TimestamptzUtc {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let (day, clock) = in_python(timestamp(data)?, Some(0))?;
        self.at(py, day, clock)
    }
}

impl Parse for TimestamptzUtc {
    #[inline]
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        match text::timestamptz(data)? {
            Ok(local) => {
                let (day, clock) = local.utc().unwrap_or((local.day, local.clock));
                self.at(py, day, clock)
            }
            Err(why) => Err(out_of_range("timestamp", why, &printed(data))),
        }
    }
}

impl TimestamptzUtc {
    #[inline]
    fn at(&self, py: Python<'_>, day: Day, clock: Clock) -> Result<Value, Fault> {
        // SAFETY: `self` keeps the tzinfo alive.
        unsafe {
            let tzinfo = self.tzinfo.as_ptr();
            self.datetime.datetime(py, day, clock, tzinfo)
        }
    }
}

/// A timestamptz of a session in another zone.
struct TimestamptzIn {
    datetime: Datetime,
    tzinfo: Py<PyAny>,
    zone: Py<PyTzInfo>,
    /// The bound method: `astimezone` is little more than a call of it.
    from_utc: Py<PyAny>,
}

impl Decode for TimestamptzIn {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let micros = timestamp(data)?;
        let (days, of_day) = split(micros);
        match Day::in_python(days) {
            Ok(day) => {
                self.convert(py, day, Clock::of(of_day)).map_err(|fault| self.unfit(fault, micros))
            }
            Err(why) => self.at_the_edge(py, micros, why),
        }
    }
}

impl Parse for TimestamptzIn {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        match text::timestamptz(data)? {
            // Not the local time as printed: Python's idea of the zone may be another.
            Ok(printed) => match printed.utc() {
                Ok((day, clock)) => self.convert(py, day, clock),
                Err(_) => self.local(py, printed.day, printed.clock),
            },
            Err(why) => Err(out_of_range("timestamp", why, &printed(data))),
        }
    }
}

impl TimestamptzIn {
    fn convert(&self, py: Python<'_>, day: Day, clock: Clock) -> Result<Value, Fault> {
        // SAFETY: `self` keeps both tzinfos alive.
        unsafe {
            let utc = self.datetime.datetime(py, day, clock, self.zone.as_ptr())?;
            let local = call(py, &self.from_utc, utc)?;
            self.datetime.replace(py, local, self.tzinfo.as_ptr())
        }
    }

    fn local(&self, py: Python<'_>, day: Day, clock: Clock) -> Result<Value, Fault> {
        // SAFETY: `self` keeps the tzinfo alive.
        unsafe {
            let tzinfo = self.tzinfo.as_ptr();
            self.datetime.datetime(py, day, clock, tzinfo)
        }
    }

    /// The local time may lie outside of Python's years though UTC does not.
    #[cold]
    fn unfit(&self, fault: Fault, micros: i64) -> Fault {
        fault.refine(|py, error| {
            let range = error.is_instance_of::<PyOverflowError>(py)
                || error.is_instance_of::<PyValueError>(py);
            let why = side(micros);
            range.then(|| match self.offset(py, why) {
                Ok(east) => out_of_range("timestamp", why, &print_timestamp(micros, Some(east))),
                Err(error) => error.into(),
            })
        })
    }

    /// UTC lies outside of Python's years, though the local time may not.
    #[cold]
    fn at_the_edge(&self, py: Python<'_>, micros: i64, why: OutOfRange) -> Result<Value, Fault> {
        let east = self.offset(py, why)?;
        let local = micros.saturating_add(i64::from(east) * 1_000_000);
        let (days, of_day) = split(local);
        match Day::in_python(days) {
            Ok(day) => self.local(py, day, Clock::of(of_day)),
            Err(why) => Err(out_of_range("timestamp", why, &print_timestamp(micros, Some(east)))),
        }
    }

    /// The zone's seconds east of UTC at the beginning or the end of Python's years.
    fn offset(&self, py: Python<'_>, why: OutOfRange) -> PyResult<i32> {
        let edge = match why {
            OutOfRange::TooSmall => intern!(py, "min"),
            OutOfRange::TooLarge => intern!(py, "max"),
        };
        let edge = py.import("datetime")?.getattr(intern!(py, "datetime"))?.getattr(edge)?;
        let offset = self.zone.bind(py).call_method1(intern!(py, "utcoffset"), (edge,))?;
        let offset = offset.cast::<PyDelta>()?;
        Ok(offset.get_days() * 86_400 + offset.get_seconds())
    }
}

fn side(micros: i64) -> OutOfRange {
    if micros < 0 {
        OutOfRange::TooSmall
    } else {
        OutOfRange::TooLarge
    }
}

impl Encode for Timestamp {
    #[inline]
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let (micros, tzinfo) = self.0.micros_of(value).unwrap_or((0, std::ptr::null_mut()));
        out.extend(micros.to_be_bytes());
        // SAFETY: None always exists.
        Ok(tzinfo == unsafe { ffi::Py_None() })
    }
}

/// The most seconds from UTC that PostgreSQL reads.
const FARTHEST: i64 = 16 * 3600 - 1;

of_datetime! {
    /// A timestamptz of an aware datetime.
    Instant;
}

impl Instant {
    /// Microseconds east of UTC, if PostgreSQL reads such an offset.
    fn east(&self, value: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
        let offset = value.call_method0(intern!(value.py(), "utcoffset"))?;
        Ok(self.0.parts_of(&offset).and_then(|(days, seconds, micros)| {
            let east = i64::from(days) * 86_400 + seconds;
            (micros == 0 && east.abs() <= FARTHEST).then_some(east * 1_000_000)
        }))
    }
}

impl Encode for Instant {
    #[inline]
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let Some((micros, tzinfo)) = self.0.micros_of(value) else {
            return Ok(false);
        };
        let east = if tzinfo == self.0.utc() { Some(0) } else { self.east(value)? };
        out.extend((micros - east.unwrap_or_default()).to_be_bytes());
        Ok(east.is_some())
    }
}

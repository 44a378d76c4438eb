//! `time` and `timetz`.

use super::datetime::of_datetime;
use super::decode::{reads, Decode, Parse};
use super::encode::Encode;
use super::value::Value;
use crate::fault::Fault;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use wire::calendar::{print_time, time, timetz, Clock};
use wire::text::calendar as text;

of_datetime! {
    Time;
    Timetz;
}

reads! {
    Time: time, text::time => |this, py, clock| this.at(py, clock);
    Timetz: timetz, text::timetz => |this, py, (clock, east)| this.at(py, clock, east);
}

impl Time {
    #[inline]
    fn at(&self, py: Python<'_>, clock: Clock) -> Result<Value, Fault> {
        // SAFETY: None is alive.
        let value = unsafe { self.0.time(py, clock, ffi::Py_None()) };
        value.map_err(|fault| unfit(fault, "time", clock, None))
    }
}

impl Timetz {
    fn at(&self, py: Python<'_>, clock: Clock, east: i32) -> Result<Value, Fault> {
        let zone = self.0.timezone(py, east)?;
        // SAFETY: the zone lives to the end of this function.
        let value = unsafe { self.0.time(py, clock, zone.as_ptr()) };
        value.map_err(|fault| unfit(fault, "timetz", clock, Some(east)))
    }
}

/// 24:00:00, which Python refuses: its words, with the value in front.
#[cold]
fn unfit(fault: Fault, what: &str, clock: Clock, east: Option<i32>) -> Fault {
    let text = print_time(clock, east);
    fault.refine(|py, error| {
        let refused = error.is_instance_of::<PyValueError>(py);
        let why = error.value(py);
        refused.then(|| Fault::data(format!("can't parse {what} '{text}': {why}")))
    })
}

impl Encode for Time {
    #[inline]
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let micros = self.0.micros_of_time(value);
        out.extend(micros.unwrap_or_default().to_be_bytes());
        Ok(micros.is_some())
    }
}

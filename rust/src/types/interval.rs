//! `interval`.

use super::datetime::of_datetime;
use super::decode::{reads, Decode, Parse};
use super::encode::Encode;
use super::value::Value;
use crate::fault::Fault;
use pyo3::prelude::*;
use wire::interval::{interval, Interval as Counters};
use wire::text::interval as text;

/// The most days that a timedelta holds, of either sign.
const MOST_DAYS: i64 = 999_999_999;

of_datetime! {
    Interval;
}

reads! {
    Interval: interval, text::interval => |this, py, value| this.delta(py, value);
}

impl Interval {
    #[inline]
    fn delta(&self, py: Python<'_>, value: Counters) -> Result<Value, Fault> {
        if value.is_infinite() {
            // What Django gets today: psycopg's text loader takes "infinity" for nothing.
            return self.0.delta(py, 0, 0, 0);
        }
        let span = value.span();
        match i32::try_from(span.days) {
            Ok(days) if span.days.abs() <= MOST_DAYS => {
                self.0.delta(py, days, span.seconds, span.micros)
            }
            _ => Err(Fault::data(format!(
                "can't parse interval '{}': days={}; must have magnitude <= {MOST_DAYS}",
                value.print(),
                span.days,
            ))),
        }
    }
}

impl Encode for Interval {
    #[inline]
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let parts = self.0.parts_of(value);
        let (days, seconds, micros) = parts.unwrap_or_default();
        out.extend((seconds * 1_000_000 + micros).to_be_bytes());
        out.extend(days.to_be_bytes());
        out.extend(0_i32.to_be_bytes());
        Ok(parts.is_some())
    }
}

//! `date`.

use super::datetime::{of_datetime, out_of_range, printed};
use super::decode::{Decode, Parse};
use super::encode::Encode;
use super::value::Value;
use crate::fault::Fault;
use pyo3::prelude::*;
use wire::calendar::{date, print_date, Day};
use wire::text::calendar as text;

of_datetime! {
    Date;
}

impl Decode for Date {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let days = date(data)?;
        match Day::in_python(days.into()) {
            Ok(day) => self.0.date(py, day),
            Err(why) => Err(out_of_range("date", why, &print_date(days))),
        }
    }
}

impl Parse for Date {
    #[inline]
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        match text::date(data)? {
            Ok(day) => self.0.date(py, day),
            Err(why) => Err(out_of_range("date", why, &printed(data))),
        }
    }
}

impl Encode for Date {
    #[inline]
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let day = self.0.day_of(value, self.0.date_type());
        let days = day.and_then(|day| i32::try_from(day.days()).ok());
        out.extend(days.unwrap_or_default().to_be_bytes());
        Ok(days.is_some())
    }
}

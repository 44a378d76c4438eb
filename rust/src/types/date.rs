//! `date`.

use super::datetime::{out_of_range, printed, Datetime};
use super::decode::{Decode, Parse};
use super::value::Value;
use crate::fault::Fault;
use pyo3::prelude::*;
use wire::calendar::{date, print_date, Day};
use wire::text::calendar as text;

pub struct Date(Datetime);

impl Date {
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        Datetime::new(py).map(Self)
    }
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

//! `date`.

use super::datetime::{out_of_range, Datetime};
use super::{Decode, Value};
use crate::fault::Fault;
use pyo3::prelude::*;
use wire::calendar::{date, print_date, Day};

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

//! `inet` and `cidr`, which Django takes as text.

use super::decode::{Decode, Parse};
use super::text::{ascii, unicode};
use super::value::Value;
use crate::fault::Fault;
use pyo3::Python;
use wire::inet;

pub struct Inet;

impl Decode for Inet {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        ascii(py, inet::inet(data)?.as_bytes())
    }
}

impl Parse for Inet {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        unicode(py, data)
    }
}

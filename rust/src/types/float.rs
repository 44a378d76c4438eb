//! `float4`, `float8`.

use super::decode::{Decode, Parse};
use super::value::{owned, Value};
use crate::fault::Fault;
use pyo3::{ffi, Python};
use wire::float;
use wire::text::number;

pub struct Float4;
pub struct Float8;

impl Decode for Float4 {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        object(py, float::float4(data)?)
    }
}

impl Parse for Float4 {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        object(py, number::float(data)?)
    }
}

impl Decode for Float8 {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        object(py, float::float8(data)?)
    }
}

impl Parse for Float8 {
    #[inline]
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        object(py, number::float(data)?)
    }
}

#[inline]
fn object(py: Python<'_>, value: f64) -> Result<Value, Fault> {
    // SAFETY: returns a new reference or NULL.
    unsafe { owned(py, ffi::PyFloat_FromDouble(value)) }
}

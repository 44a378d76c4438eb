//! `float4`, `float8`.

use super::{owned, Decode, Value};
use crate::fault::Fault;
use pyo3::{ffi, Python};
use wire::float;

pub struct Float4;
pub struct Float8;

impl Decode for Float4 {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let value = float::float4(data)?;
        // SAFETY: returns a new reference or NULL.
        unsafe { owned(py, ffi::PyFloat_FromDouble(value)) }
    }
}

impl Decode for Float8 {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let value = float::float8(data)?;
        // SAFETY: returns a new reference or NULL.
        unsafe { owned(py, ffi::PyFloat_FromDouble(value)) }
    }
}

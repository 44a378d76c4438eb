//! `float4`, `float8`.

use super::decode::{reads, Decode, Parse};
use super::value::{owned, Value};
use crate::fault::Fault;
use pyo3::{ffi, Python};
use wire::float;
use wire::text::number;

pub struct Float4;
pub struct Float8;

reads! {
    Float4: float::float4, number::float => |_, py, value| object(py, value);
    Float8: float::float8, number::float => |_, py, value| object(py, value);
}

#[inline]
fn object(py: Python<'_>, value: f64) -> Result<Value, Fault> {
    // SAFETY: returns a new reference or NULL.
    unsafe { owned(py, ffi::PyFloat_FromDouble(value)) }
}

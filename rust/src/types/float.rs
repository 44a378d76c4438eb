//! `float4`, `float8`.

use super::decode::{reads, Decode, Parse};
use super::encode::Encode;
use super::value::{owned, Value};
use crate::fault::Fault;
use pyo3::prelude::*;
use pyo3::{ffi, types::PyFloat};
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

impl Encode for Float8 {
    #[inline]
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let number = number_of(value);
        out.extend(number.unwrap_or_default().to_be_bytes());
        Ok(number.is_some())
    }
}

impl Encode for Float4 {
    /// Only what need not be rounded: the server would round the number's text.
    #[allow(clippy::cast_possible_truncation, clippy::float_cmp)]
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let number = number_of(value).unwrap_or(f64::NAN);
        out.extend((number as f32).to_be_bytes());
        Ok(f64::from(number as f32) == number)
    }
}

/// The number, if it is one and a float.
#[inline]
fn number_of(value: &Bound<'_, PyAny>) -> Option<f64> {
    let number = value.cast_exact::<PyFloat>().ok()?.value();
    // Of NaN there are many; which one is stored is the server's matter.
    (!number.is_nan()).then_some(number)
}

//! `bool`.

use super::decode::{Decode, Parse};
use super::value::{borrowed, Value};
use crate::fault::Fault;
use pyo3::{ffi, Python};
use wire::scalar;
use wire::text::number;

pub struct Bool;

impl Decode for Bool {
    #[inline]
    fn decode(&self, _py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        Ok(singleton(scalar::boolean(data)?))
    }
}

impl Parse for Bool {
    #[inline]
    fn parse(&self, _py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        Ok(singleton(number::boolean(data)?))
    }
}

#[inline]
fn singleton(value: bool) -> Value {
    // SAFETY: True and False always exist.
    unsafe {
        borrowed(if value {
            ffi::Py_True()
        } else {
            ffi::Py_False()
        })
    }
}

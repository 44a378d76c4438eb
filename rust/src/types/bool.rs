//! `bool`.

use super::{borrowed, Decode, Value};
use crate::fault::Fault;
use pyo3::{ffi, Python};
use wire::scalar;

pub struct Bool;

impl Decode for Bool {
    #[inline]
    fn decode(&self, _py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let value = scalar::boolean(data)?;
        // SAFETY: True and False always exist.
        Ok(unsafe {
            borrowed(if value {
                ffi::Py_True()
            } else {
                ffi::Py_False()
            })
        })
    }
}

//! `bytea`.

use super::{owned, Decode, Value};
use crate::fault::Fault;
use pyo3::{ffi, Python};

pub struct Bytea;

impl Decode for Bytea {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        bytes(py, data)
    }
}

/// A `bytes` of `data`.
#[inline]
pub fn bytes(py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
    let length = data.len().cast_signed();
    // SAFETY: a slice is never longer than isize::MAX; Python copies it.
    unsafe {
        owned(
            py,
            ffi::PyBytes_FromStringAndSize(data.as_ptr().cast(), length),
        )
    }
}

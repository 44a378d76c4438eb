//! `bytea`.

use super::decode::{Decode, Parse};
use super::value::{owned, Value};
use crate::fault::Fault;
use pyo3::types::PyBytes;
use pyo3::{ffi, Python};
use wire::text::bytea::bytea;

pub struct Bytea;

impl Decode for Bytea {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        bytes(py, data)
    }
}

impl Parse for Bytea {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let text = bytea(data)?;
        let mut written = Ok(());
        let value = PyBytes::new_with(py, text.length(), |out| {
            written = text.write(out);
            Ok(())
        })?;
        written?;
        // SAFETY: a new reference.
        unsafe { owned(py, value.into_ptr()) }
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

//! `bytea`.

use super::decode::{Decode, Parse};
use super::encode::Encode;
use super::value::{owned, Value};
use crate::fault::Fault;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
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
    unsafe { owned(py, ffi::PyBytes_FromStringAndSize(data.as_ptr().cast(), length)) }
}

impl Encode for Bytea {
    #[inline]
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let Ok(value) = value.cast_exact::<PyBytes>() else {
            return Ok(false);
        };
        out.extend(value.as_bytes());
        Ok(true)
    }
}

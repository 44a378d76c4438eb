//! `int2`, `int4`, `int8`, `oid`.

use super::{owned, Decode, Value};
use crate::fault::Fault;
use pyo3::{ffi, Python};
use wire::scalar;

pub struct Int2;
pub struct Int4;
pub struct Int8;
pub struct Oid;

impl Decode for Int2 {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let value = scalar::int2(data)?;
        // SAFETY: returns a new reference or NULL; so do the other three.
        unsafe { owned(py, ffi::PyLong_FromLong(value.into())) }
    }
}

impl Decode for Int4 {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let value = scalar::int4(data)?;
        // SAFETY: as for Int2.
        unsafe { owned(py, ffi::PyLong_FromLong(value.into())) }
    }
}

impl Decode for Int8 {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let value = scalar::int8(data)?;
        // SAFETY: as for Int2.
        unsafe { owned(py, ffi::PyLong_FromLongLong(value)) }
    }
}

impl Decode for Oid {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let value = scalar::oid(data)?;
        // SAFETY: as for Int2.
        unsafe { owned(py, ffi::PyLong_FromUnsignedLongLong(value.into())) }
    }
}

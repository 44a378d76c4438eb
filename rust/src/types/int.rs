//! `int2`, `int4`, `int8`, `oid`.

use super::decode::{Decode, Parse};
use super::value::{owned, Value};
use crate::fault::Fault;
use pyo3::{ffi, Python};
use wire::scalar;
use wire::text::number;

pub struct Int2;
pub struct Int4;
pub struct Int8;
pub struct Oid;

impl Decode for Int2 {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        signed(py, scalar::int2(data)?.into())
    }
}

impl Parse for Int2 {
    #[inline]
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        signed(py, number::int2(data)?.into())
    }
}

impl Decode for Int4 {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        signed(py, scalar::int4(data)?.into())
    }
}

impl Parse for Int4 {
    #[inline]
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        signed(py, number::int4(data)?.into())
    }
}

impl Decode for Int8 {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        signed(py, scalar::int8(data)?)
    }
}

impl Parse for Int8 {
    #[inline]
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        signed(py, number::int8(data)?)
    }
}

impl Decode for Oid {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        unsigned(py, scalar::oid(data)?)
    }
}

impl Parse for Oid {
    #[inline]
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        unsigned(py, number::oid(data)?)
    }
}

#[inline]
fn signed(py: Python<'_>, value: i64) -> Result<Value, Fault> {
    // SAFETY: returns a new reference or NULL.
    unsafe { owned(py, ffi::PyLong_FromLongLong(value)) }
}

fn unsigned(py: Python<'_>, value: u32) -> Result<Value, Fault> {
    // SAFETY: as for `signed`.
    unsafe { owned(py, ffi::PyLong_FromUnsignedLongLong(value.into())) }
}

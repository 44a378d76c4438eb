//! `int2`, `int4`, `int8`, `oid`.

use super::decode::{reads, Decode, Parse};
use super::value::{owned, Value};
use crate::fault::Fault;
use pyo3::{ffi, Python};
use wire::scalar;
use wire::text::number;

pub struct Int2;
pub struct Int4;
pub struct Int8;
pub struct Oid;

reads! {
    Int2: scalar::int2, number::int2 => |_, py, value| signed(py, value.into());
    Int4: scalar::int4, number::int4 => |_, py, value| signed(py, value.into());
    Int8: scalar::int8, number::int8 => |_, py, value| signed(py, value);
    Oid: scalar::oid, number::oid => |_, py, value| unsigned(py, value);
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

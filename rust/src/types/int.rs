//! `int2`, `int4`, `int8`, `oid`.

use super::decode::{reads, Decode, Parse};
use super::encode::Encode;
use super::value::{owned, Value};
use crate::fault::Fault;
use pyo3::prelude::*;
use pyo3::{ffi, types::PyInt};
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

/// The number, if it is an int and no subclass (a bool is one), and 64 bits hold it.
#[inline]
fn number_of(value: &Bound<'_, PyAny>) -> Option<i64> {
    let value = value.cast_exact::<PyInt>().ok()?;
    let mut overflow = 0;
    // SAFETY: an int is alive: no error but that of its size, which is only told.
    let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &raw mut overflow) };
    (overflow == 0).then_some(number)
}

/// Encode integers of a size.
macro_rules! writes {
    ($($type:ty: $size:ty;)+) => {$(
        impl Encode for $type {
            #[inline]
            fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
                let number = number_of(value).and_then(|number| <$size>::try_from(number).ok());
                out.extend(number.unwrap_or_default().to_be_bytes());
                Ok(number.is_some())
            }
        }
    )+};
}

writes! {
    Int2: i16;
    Int4: i32;
    Int8: i64;
}

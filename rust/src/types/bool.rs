//! `bool`.

use super::decode::{reads, Decode, Parse};
use super::value::{borrowed, Value};
use crate::fault::Fault;
use pyo3::{ffi, Python};
use wire::scalar;
use wire::text::number;

pub struct Bool;

reads! {
    Bool: scalar::boolean, number::boolean => |_, py, value| Ok(singleton(py, value));
}

#[inline]
fn singleton(_: Python<'_>, value: bool) -> Value {
    // SAFETY: True and False always exist.
    unsafe {
        borrowed(if value {
            ffi::Py_True()
        } else {
            ffi::Py_False()
        })
    }
}

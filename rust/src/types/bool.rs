//! `bool`.

use super::decode::{reads, Decode, Parse};
use super::encode::Encode;
use super::value::{borrowed, Value};
use crate::fault::Fault;
use pyo3::{ffi, prelude::*};
use wire::scalar;
use wire::text::number;

pub struct Bool;

reads! {
    Bool: scalar::boolean, number::boolean => |_, py, value| Ok(singleton(py, value));
}

#[inline]
fn singleton(_: Python<'_>, value: bool) -> Value {
    // SAFETY: True and False always exist.
    unsafe { borrowed(if value { ffi::Py_True() } else { ffi::Py_False() }) }
}

impl Encode for Bool {
    #[inline]
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let value = value.as_ptr();
        // SAFETY: True and False always exist.
        let (yes, no) = unsafe { (ffi::Py_True(), ffi::Py_False()) };
        out.push((value == yes).into());
        Ok(value == yes || value == no)
    }
}

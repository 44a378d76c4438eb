//! References to Python values: who owns one, and who gives it away.

use crate::fault::Fault;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ptr::NonNull;

/// A new reference.
pub type Value = NonNull<ffi::PyObject>;

/// The new reference that a function of Python's C API returned, or the exception it set.
///
/// # Safety
/// `object` is such a return value: owned, or NULL with an exception set.
#[inline]
pub unsafe fn owned(py: Python<'_>, object: *mut ffi::PyObject) -> Result<Value, Fault> {
    NonNull::new(object).ok_or_else(|| Fault::pending(py))
}

/// A new reference to a living object.
///
/// # Safety
/// `object` is not NULL and alive.
#[inline]
pub unsafe fn borrowed(object: *mut ffi::PyObject) -> Value {
    // SAFETY: the caller's.
    unsafe {
        ffi::Py_INCREF(object);
        NonNull::new_unchecked(object)
    }
}

/// A new reference to None.
#[inline]
pub fn none() -> Value {
    // SAFETY: None always exists.
    unsafe { borrowed(ffi::Py_None()) }
}

/// The owner of a new reference, who gives it back.
#[inline]
pub fn own(py: Python<'_>, value: Value) -> Bound<'_, PyAny> {
    // SAFETY: a Value is a new reference, and this one is given away here.
    unsafe { Bound::from_owned_ptr(py, value.as_ptr()) }
}

/// The reference of an owner who does not give it back.
#[inline]
pub fn give<T>(owner: Bound<'_, T>) -> Value {
    // SAFETY: an owner's pointer is never NULL.
    unsafe { NonNull::new_unchecked(owner.into_ptr()) }
}

/// `callable(argument)`, where the reference to the argument is given away.
#[inline]
pub fn call(py: Python<'_>, callable: &Py<PyAny>, argument: Value) -> Result<Value, Fault> {
    // SAFETY: both are alive; the argument is ours to give back after the call.
    unsafe {
        let result = ffi::PyObject_CallOneArg(callable.as_ptr(), argument.as_ptr());
        ffi::Py_DECREF(argument.as_ptr());
        owned(py, result)
    }
}

/// The owner of a value that is made to try a class, not for a column.
pub fn made(py: Python<'_>, value: Result<Value, Fault>) -> PyResult<Bound<'_, PyAny>> {
    match value {
        Ok(value) => Ok(own(py, value)),
        Err(fault) => Err(fault.into_error(py, 0, 0, &[])),
    }
}

//! One interpreter per process: what is kept in statics belongs to it.
//!
//! PyO3 refuses interpreters with a lock of their own, but not those that share one.

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::sync::OnceLock;

static FIRST: OnceLock<i64> = OnceLock::new();

/// ImportError in any interpreter but the first that asks.
pub fn only_one(_: Python<'_>) -> PyResult<()> {
    // SAFETY: a thread that is attached has an interpreter.
    let id = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if *FIRST.get_or_init(|| id) == id {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "django_async_fast._decode serves another interpreter of this process, and only \
         one: use one process per application",
    ))
}

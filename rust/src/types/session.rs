//! What the values of a query depend on besides their bytes.

use super::kinds::Kinds;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTzInfo;
use std::ffi::c_int;

/// libpq asks for one format for all columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Format {
    Text = 0,
    Binary = 1,
}

impl Format {
    pub fn new(number: c_int) -> PyResult<Self> {
        match number {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            _ => Err(PyValueError::new_err(format!(
                "a format is 0 (text) or 1 (binary), not {number}"
            ))),
        }
    }
}

/// What the values of a query depend on besides their bytes.
pub struct Session {
    pub format: Format,
    /// The zone in which the server would print a timestamptz; `None` is UTC.
    pub zone: Option<Py<PyTzInfo>>,
    /// The tzinfo that replaces it, `None` for naive values.
    pub timezone: Option<Py<PyTzInfo>>,
    /// What is known of types whose OIDs are not fixed.
    pub kinds: Kinds,
}

impl Session {
    pub fn new(
        py: Python<'_>,
        format: Format,
        zone: Option<Bound<'_, PyTzInfo>>,
        timezone: Option<Bound<'_, PyTzInfo>>,
        kinds: Kinds,
    ) -> PyResult<Self> {
        let zone = match zone {
            Some(zone) if !is_utc(py, &zone)? => Some(zone.unbind()),
            _ => None,
        };
        Ok(Self { format, zone, timezone: timezone.map(Bound::unbind), kinds })
    }
}

fn is_utc(py: Python<'_>, zone: &Bound<'_, PyTzInfo>) -> PyResult<bool> {
    if zone.is(PyTzInfo::utc(py)?) {
        return Ok(true);
    }
    let key = zone.getattr_opt(intern!(py, "key"))?;
    Ok(key.is_some_and(|key| key.eq("UTC").unwrap_or(false)))
}

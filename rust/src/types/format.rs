//! The two formats of a result. A decoder reads one of them: which is decided when it is
//! made.

use super::{Decode, Session, Value};
use crate::fault::Fault;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
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

/// A type whose text is read here too, as the server prints it with its default
/// `DateStyle` and `IntervalStyle`. The value is that of the binary format.
pub trait Parse: Decode {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault>;
}

/// Reads the text of a type.
struct Text<T>(T);

impl<T: Parse> Decode for Text<T> {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        self.0.parse(py, data)
    }
}

/// The decoder of a type for the session's format.
pub fn either<T: Parse + 'static>(session: &Session, of_type: T) -> Box<dyn Decode> {
    match session.format {
        Format::Text => Box::new(Text(of_type)),
        Format::Binary => Box::new(of_type),
    }
}

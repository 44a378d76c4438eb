//! What most types do the other way round: a Python value -> its binary form.

use pyo3::prelude::*;

/// Appends the binary form of one column's values. Whatever it needs is looked up when it
/// is made, once per column.
pub trait Encode {
    /// Append the form of `value`, and tell so.
    ///
    /// `false`, whatever has been appended, for what is not exactly of the type's class, or
    /// has to be refused or converted first: psycopg and the server do that, in their words.
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool>;
}

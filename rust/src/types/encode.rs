//! What most types do the other way round: a Python value -> its binary form.

use pyo3::prelude::*;

/// Appends the binary form of one column's values. Whatever it needs is looked up when it
/// is made, once per column.
pub trait Encode: Send + Sync {
    /// Append the form of `value`, and tell so.
    ///
    /// `false`, whatever has been appended, for what is not exactly of the type's class, or
    /// has to be refused or converted first: psycopg and the server do that, in their words.
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool>;
}

/// The most that PostgreSQL takes for one value.
pub const LONGEST: usize = 0x3FFF_FFFF;
const NULL: i32 = -1;

/// Append a value behind its length, as rows, arrays and ranges have their values; `None`
/// is a length alone. `false` as of `encode`, and for what gets too long.
#[inline]
pub fn sized(encoder: &dyn Encode, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
    let start = out.len();
    out.extend(NULL.to_be_bytes());
    if value.is_none() {
        return Ok(true);
    }
    if !encoder.encode(value, out)? || out.len() - start > LONGEST {
        return Ok(false);
    }
    let length = out.len() - start - 4;
    // It fits, as LONGEST does.
    put(out, start, i32::try_from(length).unwrap_or_default());
    Ok(true)
}

/// Write a word over the one that stands there.
#[inline]
pub fn put(out: &mut [u8], at: usize, word: i32) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}

//! The text format: what PostgreSQL prints for a value, read back.
//!
//! Only what the server prints is accepted, not all that it would take as input. Types
//! whose text *is* the value (`text`, `json`, `inet` …) need nothing from here.

pub mod array;
pub mod bytea;
pub mod calendar;
mod hex;
pub mod hstore;
pub mod interval;
pub mod number;
mod quoted;
pub mod range;
mod scan;
pub mod uuid;

/// Check that `read` accepts none of these.
#[cfg(test)]
fn refused<'a, T, E>(read: impl Fn(&'a [u8]) -> Result<T, E>, texts: &[&'a [u8]]) {
    for text in texts {
        assert!(read(text).is_err(), "{}", text.escape_ascii());
    }
}

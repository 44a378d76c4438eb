//! PostgreSQL's values as plain Rust values, without Python: binary, and in [`text`].
//!
//! Every function takes the bytes of one value exactly as the server sent them and
//! returns the value, or a [`Malformed`] that says what was expected and what came.
//! Nothing here panics on any input: see `../properties`.

#![forbid(unsafe_code)]

pub mod array;
pub mod bits;
pub mod calendar;
pub mod float;
pub mod geometry;
pub mod hex;
pub mod hstore;
pub mod inet;
pub mod interval;
pub mod macaddr;
pub mod numeric;
pub mod range;
pub mod reader;
pub mod scalar;
mod shortest;
pub mod system;
pub mod text;
pub mod tsquery;
pub mod tsvector;

pub use reader::{Malformed, Reader};

/// What a function that prints a value makes of these bytes.
#[cfg(test)]
fn printed(print: fn(&[u8], &mut Vec<u8>) -> Result<(), Malformed>, data: &[u8]) -> String {
    let mut out = Vec::new();
    print(data, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

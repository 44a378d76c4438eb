//! PostgreSQL's values as plain Rust values, without Python: binary, and in [`text`].
//!
//! Every function takes the bytes of one value exactly as the server sent them and
//! returns the value, or a [`Malformed`] that says what was expected and what came.
//! Nothing here panics on any input: see `tests/any_bytes.rs`.

pub mod calendar;
pub mod float;
pub mod inet;
pub mod interval;
pub mod numeric;
pub mod reader;
pub mod scalar;
pub mod text;

pub use reader::{Malformed, Reader};

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

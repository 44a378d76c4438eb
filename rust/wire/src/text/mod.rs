//! The text format: what PostgreSQL prints for a value, read back.
//!
//! Only what the server prints is accepted, not all that it would take as input. Types
//! whose text *is* the value (`text`, `json`, `inet` …) need nothing from here.

pub mod bytea;
pub mod calendar;
mod hex;
pub mod interval;
pub mod number;
mod scan;
pub mod uuid;

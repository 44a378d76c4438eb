//! One file per family of types, one decoder per type.
//!
//! `value` and `session` are what a decoder works with, `decode` is what it does, `encode`
//! the other way round; `by_oid` chooses one.

mod array;
mod bool;
mod by_oid;
mod bytea;
mod date;
mod datetime;
mod decode;
mod encode;
mod float;
mod hstore;
mod inet;
mod int;
mod interval;
mod json;
mod kinds;
mod loader;
mod numeric;
mod oid;
mod printed;
mod range;
mod session;
mod slots;
mod text;
mod time;
mod timestamp;
mod uuid;
mod value;

pub use by_oid::{decoder, encoded_oids, encoder, text_oids};
pub use decode::Decode;
pub use encode::{put, sized, Encode, LONGEST};
pub use kinds::Kinds;
pub use loader::Loader;
pub use oid::ALL as BINARY_OIDS;
pub use session::{Format, Session};
pub use value::{none, Value};

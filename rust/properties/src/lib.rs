//! What must hold of `wire/` whatever bytes come: one property per family of types.
//!
//! A property reads the bytes and panics when something is wrong: when the reader itself
//! panics, and when the value that was read, written again by other means, is not what
//! was read. `fuzz/` looks for bytes that do that; `tests/` replays what it found worth
//! keeping, and random bytes, on a stable compiler.

mod calendar;
mod container;
mod float;
mod inet;
mod interval;
mod numeric;
mod printed;
mod reader;
mod scalar;
mod search;
mod text;

/// Panics when the bytes show a fault.
pub type Property = fn(&[u8]);

/// Every property, under the name of its corpus.
pub const PROPERTIES: &[(&str, Property)] = &[
    ("reader", reader::any_bytes),
    ("scalar", scalar::any_bytes),
    ("float", float::any_bytes),
    ("numeric", numeric::any_bytes),
    ("inet", inet::any_bytes),
    ("interval", interval::any_bytes),
    ("calendar", calendar::any_bytes),
    ("container", container::any_bytes),
    ("printed", printed::any_bytes),
    ("search", search::any_bytes),
    ("text_bytea", text::bytea::any_bytes),
    ("text_calendar", text::calendar::any_bytes),
    ("text_container", text::container::any_bytes),
    ("text_interval", text::interval::any_bytes),
    ("text_number", text::number::any_bytes),
    ("text_uuid", text::uuid::any_bytes),
];

/// The property called `name`.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn property(name: &str) -> Property {
    let found = PROPERTIES.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no property {name}")).1
}

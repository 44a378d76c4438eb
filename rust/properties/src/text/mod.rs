//! Text: what was read, printed again by other means, is what was read.

pub mod bytea;
pub mod calendar;
pub mod container;
pub mod interval;
pub mod number;
pub mod uuid;

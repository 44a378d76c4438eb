//! What every type does: bytes of one of the two formats -> a Python value. A decoder
//! reads one format: which is decided when it is made.

use super::session::{Format, Session};
use super::value::Value;
use crate::fault::Fault;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

/// Builds the Python value of one column's type, from one format. Whatever it needs is
/// looked up when it is made, once per query; `decode` runs once per value.
pub trait Decode: Send + Sync {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault>;

    /// Visit the Python objects that could be part of a reference cycle.
    fn traverse(&self, _visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        Ok(())
    }
}

/// A type whose text is read here too, as the server prints it with its default
/// `DateStyle` and `IntervalStyle`. The value is that of the binary format.
pub trait Parse: Decode {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault>;
}

/// Reads the text of a type.
struct Text<T>(T);

impl<T: Parse> Decode for Text<T> {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        self.0.parse(py, data)
    }
}

/// The decoder of a type for the session's format.
pub fn either<T: Parse + 'static>(session: &Session, of_type: T) -> Box<dyn Decode> {
    match session.format {
        Format::Text => Box::new(Text(of_type)),
        Format::Binary => Box::new(of_type),
    }
}

/// Implement both formats of types that make the same of what `wire` reads from either.
macro_rules! reads {
    ($($type:ty: $binary:path, $text:path => |$this:pat_param, $py:ident, $read:pat_param| $made:expr;)+) => {$(
        impl Decode for $type {
            #[inline]
            fn decode(&self, $py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
                let ($this, $read) = (self, $binary(data)?);
                $made
            }
        }

        impl Parse for $type {
            #[inline]
            fn parse(&self, $py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
                let ($this, $read) = (self, $text(data)?);
                $made
            }
        }
    )+};
}
pub(crate) use reads;

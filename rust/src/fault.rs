//! What goes wrong with a value, turned into a Python exception once per failed row.

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use wire::Malformed;

/// Boxed, so that a decoded value and a fault travel in two registers.
pub struct Fault(Box<Reason>);

enum Reason {
    /// The exception to raise already exists.
    Python(PyErr),
    /// The bytes are not a value of the type.
    Malformed(Malformed),
    /// The value is sound, but Python has none like it.
    Data(String),
}

impl Fault {
    /// Python's C API has just returned NULL.
    #[cold]
    pub fn pending(py: Python<'_>) -> Self {
        PyErr::fetch(py).into()
    }

    /// A `psycopg.DataError` with this message.
    #[cold]
    pub fn data(message: String) -> Self {
        Self(Box::new(Reason::Data(message)))
    }

    /// What `better` makes of the exception that Python raised, or the exception itself.
    pub fn refine(self, better: impl FnOnce(Python<'_>, &PyErr) -> Option<Self>) -> Self {
        match *self.0 {
            // PyO3 does not know that `decode_row` is called with the GIL. It must, to give
            // back the exception at once and not when it is next called.
            Reason::Python(error) => {
                Python::attach(move |py| better(py, &error).unwrap_or_else(|| error.into()))
            }
            _ => self,
        }
    }

    /// The exception of a value in column `column` (counted from 0), made of `data`.
    #[cold]
    pub fn into_error(self, py: Python<'_>, column: usize, oid: u32, data: &[u8]) -> PyErr {
        let message = match *self.0 {
            Reason::Python(error) => return error,
            Reason::Malformed(why) => {
                let got = match why {
                    Malformed::Text(_) => format!(", got {}", excerpt(data)),
                    _ => String::new(),
                };
                format!("malformed value in column {column} (OID {oid}): {why}{got}")
            }
            Reason::Data(message) => message,
        };
        // Looked up only here: a process without psycopg can import this module.
        let class =
            py.import("psycopg").and_then(|psycopg| psycopg.getattr(intern!(py, "DataError")));
        match class.and_then(|class| class.call1((message,))) {
            Ok(error) => PyErr::from_value(error),
            Err(error) => error,
        }
    }
}

/// The text itself, if it is short, or its beginning.
fn excerpt(data: &[u8]) -> String {
    const LONGEST: usize = 60;
    match data.get(..LONGEST) {
        Some(start) if data.len() > LONGEST => {
            let text = String::from_utf8_lossy(start);
            format!("{text:?}... ({} bytes)", data.len())
        }
        _ => format!("{:?}", String::from_utf8_lossy(data)),
    }
}

impl From<PyErr> for Fault {
    #[cold]
    fn from(error: PyErr) -> Self {
        Self(Box::new(Reason::Python(error)))
    }
}

impl From<Malformed> for Fault {
    #[cold]
    fn from(why: Malformed) -> Self {
        Self(Box::new(Reason::Malformed(why)))
    }
}

/// The exception for a panic that was stopped at the border to C.
pub fn panicked(payload: &(dyn std::any::Any + Send)) -> PyErr {
    let what = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    PyRuntimeError::new_err(format!("django_async_fast._decode panicked, please report it: {what}"))
}

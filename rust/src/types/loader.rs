//! Any type that is not decoded here: the bytes go to a Python callable.

use super::bytea::bytes;
use super::decode::Decode;
use super::value::{call, Value};
use crate::fault::Fault;
use pyo3::{Py, PyAny, PyTraverseError, PyVisit, Python};

pub struct Loader(pub Py<PyAny>);

impl Decode for Loader {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        call(py, &self.0, bytes(py, data)?)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

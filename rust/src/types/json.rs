//! `json` is parsed, as psycopg does; `jsonb` is left as text, as Django asks of psycopg.

use super::bytea::bytes;
use super::decode::{Decode, Parse};
use super::encode::Encode;
use super::text::{unicode, Text};
use super::value::{call, Value};
use crate::fault::Fault;
use pyo3::intern;
use pyo3::prelude::*;
use wire::scalar;

/// Both formats are the text of the document.
pub struct Json {
    loads: Py<PyAny>,
}

pub struct Jsonb;

impl Json {
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let loads = py.import("json")?.getattr(intern!(py, "loads"))?.unbind();
        Ok(Self { loads })
    }
}

impl Decode for Json {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        call(py, &self.loads, bytes(py, data)?)
    }
}

impl Decode for Jsonb {
    #[inline]
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        unicode(py, scalar::jsonb(data)?)
    }
}

impl Parse for Jsonb {
    #[inline]
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        unicode(py, data)
    }
}

/// The only version of its binary form.
const VERSION: u8 = 1;

impl Encode for Jsonb {
    /// Of a document's text.
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        out.push(VERSION);
        Text.encode(value, out)
    }
}

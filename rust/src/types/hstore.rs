//! `hstore`, as a dict.

use super::decode::{Decode, Parse};
use super::text::unicode;
use super::value::{give, none, own, Value};
use crate::fault::Fault;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use wire::hstore::hstore;
use wire::text::hstore::Pairs;

pub struct Hstore;

impl Decode for Hstore {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let mut pairs = hstore(data)?;
        let dict = PyDict::new(py);
        while let Some((key, value)) = pairs.next_pair()? {
            set(py, &dict, key, value)?;
        }
        Ok(give(dict))
    }
}

impl Parse for Hstore {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let mut pairs = Pairs::new(data);
        let dict = PyDict::new(py);
        while let Some((key, value)) = pairs.next_pair()? {
            set(py, &dict, &key, value.as_deref())?;
        }
        Ok(give(dict))
    }
}

fn set(
    py: Python<'_>,
    dict: &Bound<'_, PyDict>,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), Fault> {
    let key = own(py, unicode(py, key)?);
    let value = value.map_or_else(|| Ok(none()), |value| unicode(py, value))?;
    dict.set_item(key, own(py, value))?;
    Ok(())
}

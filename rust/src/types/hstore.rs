//! `hstore`, as a dict.

use super::decode::{Decode, Parse};
use super::encode::{put, sized, Encode};
use super::text::{unicode, Text};
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

impl Encode for Hstore {
    /// Of a dict of `str` to `str` or None.
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let Ok(dict) = value.cast_exact::<PyDict>() else {
            return Ok(false);
        };
        let start = out.len();
        let mut count = 0_i32;
        out.extend(count.to_be_bytes());
        for (key, value) in dict {
            count += 1;
            if key.is_none() || !sized(&Text, &key, out)? || !sized(&Text, &value, out)? {
                return Ok(false);
            }
        }
        put(out, start, count);
        Ok(true)
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

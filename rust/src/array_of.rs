//! A column of Python values as one binary array, which the server takes for a parameter.

use crate::types::{encoder, Encode};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

/// The most that PostgreSQL takes for one value.
const LONGEST: usize = 0x3FFF_FFFF;
const NULL: i32 = -1;

/// `values` as a binary array of elements of the type with this OID.
///
/// None when one of them is not exactly of the type's class, or not for this function to
/// judge: such a column is psycopg's. ValueError for a type that is never encoded.
#[pyfunction]
pub fn array_of(
    py: Python<'_>,
    oid: u32,
    values: &Bound<'_, PyList>,
) -> PyResult<Option<Py<PyBytes>>> {
    let Some(encoder) = encoder(py, oid)? else {
        return Err(PyValueError::new_err(format!(
            "values of the type with OID {oid} are not encoded"
        )));
    };
    match encode(encoder.as_ref(), oid, values) {
        Ok(Some(array)) => Ok(Some(PyBytes::new(py, &array).unbind())),
        Ok(None) => Ok(None),
        // A tzinfo's, say, or a lone surrogate's. Django meets it again, in its own place.
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

fn encode(encoder: &dyn Encode, oid: u32, values: &Bound<'_, PyList>) -> PyResult<Option<Vec<u8>>> {
    let mut out = Vec::with_capacity(20 + 12 * values.len());
    let (mut count, mut nulls) = (0_i32, 0_i32);
    for word in [1, nulls, oid.cast_signed(), count, 1] {
        out.extend(word.to_be_bytes());
    }
    // The list may change: a tzinfo may be anybody's.
    for value in values {
        count += 1;
        let start = out.len();
        out.extend(NULL.to_be_bytes());
        if value.is_none() {
            nulls = 1;
            continue;
        }
        if !encoder.encode(&value, &mut out)? || out.len() > LONGEST {
            return Ok(None);
        }
        let length = out.len() - start - 4;
        // It fits, as LONGEST does.
        put(&mut out, start, i32::try_from(length).unwrap_or_default());
    }
    put(&mut out, 4, nulls);
    put(&mut out, 12, count);
    Ok(Some(out))
}

/// Write a word over the one that stands there.
#[inline]
fn put(out: &mut [u8], at: usize, word: i32) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}

//! A column of Python values as one binary array, which the server takes for a parameter.

use crate::types::{encoder, put, sized, Encode, Kinds, LONGEST};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMapping};

/// `values` as a binary array of elements of the type with this OID.
///
/// None when one of them is not exactly of the type's class, or not for this function to
/// judge: such a column is psycopg's. ValueError for a type that is never encoded. `kinds`
/// is what `RowDecoder` takes.
#[pyfunction]
#[pyo3(signature = (oid, values, kinds=None))]
pub fn array_of(
    py: Python<'_>,
    oid: u32,
    values: &Bound<'_, PyList>,
    kinds: Option<Bound<'_, PyMapping>>,
) -> PyResult<Option<Py<PyBytes>>> {
    let encoder = known(py, oid, &Kinds::new(kinds)?)?;
    left(py, encode(encoder.as_ref(), oid, values))
}

/// The encoder of a type; ValueError for a type that is never encoded.
pub fn known(py: Python<'_>, oid: u32, kinds: &Kinds) -> PyResult<Box<dyn Encode>> {
    encoder(py, oid, kinds)?.ok_or_else(|| {
        PyValueError::new_err(format!("values of the type with OID {oid} are not encoded"))
    })
}

/// What has been encoded, or None where psycopg is to see to it.
pub fn left(py: Python<'_>, encoded: PyResult<Option<Vec<u8>>>) -> PyResult<Option<Py<PyBytes>>> {
    match encoded {
        Ok(Some(data)) => Ok(Some(PyBytes::new(py, &data).unbind())),
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
        nulls |= i32::from(value.is_none());
        if !sized(encoder, &value, &mut out)? || out.len() > LONGEST {
            return Ok(None);
        }
    }
    put(&mut out, 4, nulls);
    put(&mut out, 12, count);
    Ok(Some(out))
}

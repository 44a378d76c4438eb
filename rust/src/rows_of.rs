//! Rows of Python values as a binary COPY has them, without its header and trailer.

use crate::array_of::{known, left};
use crate::types::{sized, Encode, Kinds};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMapping, PyTuple};

/// Encodes rows of columns of these types.
#[pyclass(frozen)]
pub struct RowEncoder {
    columns: Vec<Box<dyn Encode>>,
    /// How many lists may be in one another, by column; empty for as many as there are.
    depths: Vec<usize>,
    count: [u8; 2],
}

#[pymethods]
impl RowEncoder {
    /// ValueError for a type that is never encoded. `kinds` is what `RowDecoder` takes,
    /// `depths` how many lists may be in one another, by column.
    #[new]
    #[pyo3(signature = (columns, *, kinds=None, depths=None))]
    fn new(
        py: Python<'_>,
        columns: Vec<u32>,
        kinds: Option<Bound<'_, PyMapping>>,
        depths: Option<Vec<usize>>,
    ) -> PyResult<Self> {
        let kinds = Kinds::new(kinds)?;
        let columns =
            columns.into_iter().map(|oid| known(py, oid, &kinds)).collect::<PyResult<Vec<_>>>()?;
        let count = i16::try_from(columns.len())?.to_be_bytes();
        Ok(Self { columns, depths: depths.unwrap_or_default(), count })
    }

    /// The rows, one after the other. None when one of them is not a tuple or list of as
    /// many values as there are columns, or one of these is not exactly of its type's
    /// class, or not for this method to judge: such rows are psycopg's.
    fn encode(&self, py: Python<'_>, rows: &Bound<'_, PyList>) -> PyResult<Option<Py<PyBytes>>> {
        left(py, self.rows(rows))
    }
}

impl RowEncoder {
    fn rows(&self, rows: &Bound<'_, PyList>) -> PyResult<Option<Vec<u8>>> {
        let mut out = Vec::with_capacity(rows.len() * (2 + 12 * self.columns.len()));
        // The list may change: a tzinfo may be anybody's.
        for row in rows {
            let row = match row.cast_into_exact::<PyTuple>() {
                Ok(row) => row,
                Err(error) => match error.into_inner().cast_exact::<PyList>() {
                    Ok(row) => row.to_tuple(),
                    Err(_) => return Ok(None),
                },
            };
            if row.len() != self.columns.len() {
                return Ok(None);
            }
            for (depth, value) in self.depths.iter().zip(row.iter_borrowed()) {
                if is_deeper(&value, *depth) {
                    return Ok(None);
                }
            }
            out.extend(self.count);
            for (encoder, value) in self.columns.iter().zip(row.iter_borrowed()) {
                if !sized(encoder.as_ref(), &value, &mut out)? {
                    return Ok(None);
                }
            }
        }
        Ok(Some(out))
    }
}

/// Whether more than so many lists are in one another, by the first item of each.
fn is_deeper(value: &Bound<'_, PyAny>, depth: usize) -> bool {
    let Ok(list) = value.cast_exact::<PyList>() else {
        return false;
    };
    let Some(inner) = depth.checked_sub(1) else {
        return true;
    };
    list.get_item(0).is_ok_and(|item| is_deeper(&item, inner))
}

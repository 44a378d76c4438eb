//! Arrays of any type that is decoded here, as nested lists.

use super::{give, none, own, owned, Decode, Value};
use crate::fault::Fault;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use wire::array::array;
use wire::Reader;

pub struct Array {
    /// Of the elements.
    pub oid: u32,
    pub element: Box<dyn Decode>,
}

impl Decode for Array {
    fn decode(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let array = array(data, self.oid)?;
        let mut elements = array.elements();
        let list = self.list(py, array.lengths(), &mut elements)?;
        elements.end()?;
        Ok(give(list))
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.element.traverse(visit)
    }
}

impl Array {
    /// The list of the outermost of these dimensions. At most six of them: no deep stack.
    fn list<'py>(
        &self,
        py: Python<'py>,
        lengths: &[usize],
        elements: &mut Reader<'_>,
    ) -> Result<Bound<'py, PyAny>, Fault> {
        let (length, inner) = lengths.split_first().unwrap_or((&0, &[]));
        let length = length.cast_signed();
        // SAFETY: a new reference or NULL; the wire has checked that so many items can be.
        let list = own(py, unsafe { owned(py, ffi::PyList_New(length)) }?);
        for index in 0..length {
            let item = if inner.is_empty() {
                self.element(py, elements)?
            } else {
                give(self.list(py, inner, elements)?)
            };
            // SAFETY: each item is set once. Until then it is NULL, which a list that is
            // dropped because a later item fails allows.
            unsafe { ffi::PyList_SET_ITEM(list.as_ptr(), index, item.as_ptr()) };
        }
        Ok(list)
    }

    #[inline]
    fn element(&self, py: Python<'_>, elements: &mut Reader<'_>) -> Result<Value, Fault> {
        match elements.value()? {
            Some(data) => self.element.decode(py, data),
            None => Ok(none()),
        }
    }
}

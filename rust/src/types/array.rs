//! Arrays of any type that is decoded here, as nested lists.

use super::decode::{Decode, Parse};
use super::oid;
use super::value::{give, none, own, owned, Value};
use crate::fault::Fault;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;
use pyo3::{PyTraverseError, PyVisit};
use wire::array::array;
use wire::text::array::{self as text, Item};
use wire::Reader;

pub struct Array {
    /// Of the elements.
    oid: u32,
    element: Box<dyn Decode>,
    /// Between two elements of the text.
    delimiter: u8,
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

impl Parse for Array {
    fn parse(&self, py: Python<'_>, data: &[u8]) -> Result<Value, Fault> {
        let mut items = text::array(data, self.delimiter)?;
        let list = self.parse_list(py, &mut items)?;
        items.end()?;
        Ok(give(list))
    }
}

impl Array {
    pub fn new(oid: u32, element: Box<dyn Decode>) -> Self {
        // The text of a box has commas.
        let delimiter = if oid == oid::BOX { b';' } else { b',' };
        Self {
            oid,
            element,
            delimiter,
        }
    }

    /// The list of a dimension, from behind its opening brace.
    fn parse_list<'py>(
        &self,
        py: Python<'py>,
        items: &mut text::Items<'_>,
    ) -> Result<Bound<'py, PyList>, Fault> {
        let list = PyList::empty(py);
        loop {
            match items.next_item()? {
                Item::Open => list.append(self.parse_list(py, items)?)?,
                Item::Element(Some(data)) => {
                    list.append(own(py, self.element.decode(py, &data)?))?;
                }
                Item::Element(None) => list.append(py.None())?,
                Item::Close => return Ok(list),
            }
        }
    }

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

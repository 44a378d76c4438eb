//! Arrays of any type that is decoded here, as nested lists.

use super::decode::{Decode, Parse};
use super::encode::{put, sized, Encode};
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
        Self { oid, element, delimiter }
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

/// The most dimensions that PostgreSQL's arrays have.
const DIMENSIONS: usize = 6;

/// Encodes nested lists.
pub struct Lists {
    /// Of the elements.
    oid: u32,
    element: Box<dyn Encode>,
}

impl Lists {
    pub fn new(oid: u32, element: Box<dyn Encode>) -> Self {
        Self { oid, element }
    }

    /// Append the elements of lists of these lengths; `None` where they are of others, else
    /// whether there is a NULL.
    fn elements(
        &self,
        list: &Bound<'_, PyList>,
        lengths: &[usize],
        out: &mut Vec<u8>,
    ) -> PyResult<Option<bool>> {
        let (length, inner) = lengths.split_first().unwrap_or((&0, &[]));
        let (mut count, mut nulls) = (0, false);
        // The list may change: a tzinfo may be anybody's.
        for item in list {
            count += 1;
            if inner.is_empty() {
                if !sized(self.element.as_ref(), &item, out)? {
                    return Ok(None);
                }
                nulls |= item.is_none();
            } else {
                let Ok(item) = item.cast_exact::<PyList>() else {
                    return Ok(None);
                };
                match self.elements(item, inner, out)? {
                    Some(found) => nulls |= found,
                    None => return Ok(None),
                }
            }
        }
        Ok((count == *length).then_some(nulls))
    }
}

impl Encode for Lists {
    fn encode(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let Ok(list) = value.cast_exact::<PyList>() else {
            return Ok(false);
        };
        let Some(lengths) = lengths(list) else {
            return Ok(false);
        };
        let start = out.len();
        for word in [lengths.len().try_into()?, 0, self.oid.cast_signed()] {
            out.extend(i32::to_be_bytes(word));
        }
        for length in &lengths {
            out.extend(i32::try_from(*length)?.to_be_bytes());
            out.extend(1_i32.to_be_bytes());
        }
        let nulls = self.elements(list, &lengths, out)?;
        put(out, start + 4, i32::from(nulls == Some(true)));
        Ok(nulls.is_some())
    }
}

/// The lengths of the dimensions, by the first item of each; none of an empty list. `None`
/// for what psycopg is to judge: too many dimensions, or an empty one inside.
fn lengths(list: &Bound<'_, PyList>) -> Option<Vec<usize>> {
    if list.is_empty() {
        return Some(Vec::new());
    }
    let (mut found, mut list) = (Vec::new(), list.clone());
    while found.len() < DIMENSIONS {
        found.push(list.len());
        match list.get_item(0).ok()?.cast_into_exact::<PyList>() {
            Ok(inner) => list = inner,
            Err(_) => return Some(found),
        }
    }
    None
}

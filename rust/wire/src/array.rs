//! Arrays: up to six dimensions, their lengths, then the elements one after the other.

use crate::reader::{Malformed, Reader};

/// The most dimensions that PostgreSQL allows.
pub const MOST_DIMENSIONS: usize = 6;

/// The elements of an array, and how they are nested.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    lengths: [usize; MOST_DIMENSIONS],
    dimensions: usize,
    elements: Reader<'a>,
}

/// An array of elements of type `element`. Lower bounds are skipped: neither text nor
/// Python's lists have a place for them.
///
/// # Errors
/// [`Malformed`] for another element type, too many dimensions, or more elements than
/// there are bytes for.
pub fn array(data: &[u8], element: u32) -> Result<Array<'_>, Malformed> {
    let mut reader = Reader::new(data);
    let dimensions = dimensions(reader.i32()?)?;
    let _has_nulls = reader.i32()?;
    let got = reader.u32()?;
    if got != element {
        return Err(Malformed::Oid { name: "array of elements with OID", expected: element, got });
    }
    let mut lengths = [0; MOST_DIMENSIONS];
    let mut product = usize::from(dimensions > 0);
    for length in lengths.iter_mut().take(dimensions) {
        *length = reader.count("length of a dimension", 0)?;
        let _lower_bound = reader.i32()?;
        product = product.saturating_mul(*length);
    }
    reader.has_room(product.saturating_mul(4))?;
    Ok(Array {
        lengths,
        // An empty vector has one dimension, and prints as the array that has none.
        dimensions: if product == 0 { 0 } else { dimensions },
        elements: reader,
    })
}

fn dimensions(got: i32) -> Result<usize, Malformed> {
    match usize::try_from(got) {
        Ok(dimensions) if dimensions <= MOST_DIMENSIONS => Ok(dimensions),
        _ => Err(Malformed::Field {
            name: "dimensions of an array",
            expected: "from 0 to 6",
            got: got.into(),
        }),
    }
}

impl<'a> Array<'a> {
    /// The length of each dimension, outermost first; none for an empty array.
    #[inline]
    #[must_use]
    pub fn lengths(&self) -> &[usize] {
        self.lengths.get(..self.dimensions).unwrap_or_default()
    }

    /// The elements in order, `None` for NULL.
    #[inline]
    #[must_use]
    pub fn elements(&self) -> Reader<'a> {
        self.elements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(numbers: &[i32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    #[test]
    fn lengths_then_elements() {
        let data = bytes(&[2, 1, 23, 1, 1, 2, -5, 4, 7, -1]);
        let array = array(&data, 23).unwrap();
        assert_eq!(array.lengths(), [1, 2]);
        let mut elements = array.elements();
        assert_eq!(elements.value(), Ok(Some(&[0, 0, 0, 7][..])));
        assert_eq!(elements.value(), Ok(None));
        assert_eq!(elements.end(), Ok(()));
        let data = bytes(&[0, 0, 23]);
        assert_eq!(super::array(&data, 23).unwrap().lengths(), []);
        let data = bytes(&[2, 0, 23, i32::MAX, 1, 0, 1]);
        assert_eq!(super::array(&data, 23).unwrap().lengths(), []);
    }

    #[test]
    fn headers_are_checked() {
        for (numbers, why) in [
            (&[7, 0, 23][..], "expected dimensions of an array from 0 to 6, got 7"),
            (&[-1, 0, 23][..], "expected dimensions of an array from 0 to 6, got -1"),
            (&[1, 0, 25, 0, 1][..], "expected array of elements with OID 23, got 25"),
            (&[1, 0, 23, -1, 1][..], "expected length of a dimension from 0, got -1"),
            (&[1, 0, 23, 3, 1][..], "expected at least 32 bytes, got 20"),
            (&[2, 0, 23, i32::MAX, 1, i32::MAX, 1][..], ""),
        ] {
            let error = array(&bytes(numbers), 23).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }
}

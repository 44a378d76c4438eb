//! Arrays: braces around each dimension, quotes around what would be misread.

use super::quoted::quoted;
use crate::array::MOST_DIMENSIONS;
use crate::Malformed;
use std::borrow::Cow;

const EXPECTED: Malformed = Malformed::Text("an array as {element,element}");

/// What is left of an array.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
    delimiter: u8,
    depth: usize,
    place: Place,
}

/// What comes next between the braces of a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A dimension inside of this one begins.
    Open,
    /// The text of an element, `None` for NULL.
    Element(Option<Cow<'a, [u8]>>),
    /// This dimension ends.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Behind an opening brace: an item or the closing brace is next.
    Start,
    /// Behind a delimiter: an item is next.
    Before,
    /// Behind an item: a delimiter or the closing brace is next.
    After,
}

/// An array whose elements stand apart by `delimiter`, from behind its first brace. Lower
/// bounds are skipped.
///
/// # Errors
/// [`Malformed::Text`]; so do the methods.
pub fn array(data: &[u8], delimiter: u8) -> Result<Items<'_>, Malformed> {
    let mut rest = data;
    if data.starts_with(b"[") {
        let equals = data.iter().position(|byte| *byte == b'=').ok_or(EXPECTED)?;
        rest = data.get(equals + 1..).unwrap_or_default();
    }
    Ok(Items {
        rest: rest.strip_prefix(b"{").ok_or(EXPECTED)?,
        delimiter,
        depth: 1,
        place: Place::Start,
    })
}

impl<'a> Items<'a> {
    /// The next item of the array; nothing comes after the last brace.
    ///
    /// # Errors
    /// As [`array`], also for more than six dimensions.
    #[inline]
    pub fn next_item(&mut self) -> Result<Item<'a>, Malformed> {
        if self.depth == 0 {
            return Err(EXPECTED);
        }
        if self.place != Place::Before && self.skip(b'}') {
            self.place = Place::After;
            self.depth -= 1;
            return Ok(Item::Close);
        }
        if self.place == Place::After && !self.skip(self.delimiter) {
            return Err(EXPECTED);
        }
        if self.skip(b'{') {
            return self.open();
        }
        self.place = Place::After;
        self.element().ok_or(EXPECTED).map(Item::Element)
    }

    /// The end of the array.
    ///
    /// # Errors
    /// As [`array`].
    #[inline]
    pub fn end(self) -> Result<(), Malformed> {
        (self.depth == 0 && self.rest.is_empty()).then_some(()).ok_or(EXPECTED)
    }

    fn open(&mut self) -> Result<Item<'a>, Malformed> {
        if self.depth == MOST_DIMENSIONS {
            return Err(Malformed::Text("an array of up to six dimensions"));
        }
        self.place = Place::Start;
        self.depth += 1;
        Ok(Item::Open)
    }

    #[inline]
    fn element(&mut self) -> Option<Option<Cow<'a, [u8]>>> {
        if self.rest.starts_with(b"\"") {
            let (text, rest) = quoted(self.rest)?;
            self.rest = rest;
            return Some(Some(text));
        }
        let is_end = |byte: &u8| *byte == self.delimiter || *byte == b'}';
        let (text, rest) = self.rest.split_at(self.rest.iter().position(is_end)?);
        if text.is_empty() || text.iter().any(|byte| b"{\"\\".contains(byte)) {
            return None;
        }
        self.rest = rest;
        Some((text != b"NULL").then_some(Cow::Borrowed(text)))
    }

    #[inline]
    fn skip(&mut self, byte: u8) -> bool {
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::refused;

    fn items(data: &[u8]) -> Result<Vec<Item<'_>>, Malformed> {
        let mut items = array(data, b',')?;
        let mut found = Vec::new();
        while items.end().is_err() {
            found.push(items.next_item()?);
        }
        Ok(found)
    }

    fn element(text: &[u8]) -> Item<'_> {
        Item::Element(Some(Cow::Borrowed(text)))
    }

    #[test]
    fn elements_in_order() {
        use Item::{Close, Element, Open};
        assert_eq!(items(b"{}"), Ok(vec![Close]));
        assert_eq!(items(b"{1,NULL}"), Ok(vec![element(b"1"), Element(None), Close]));
        let found = items(b"[5:6]={a b,\"\"}");
        assert_eq!(found, Ok(vec![element(b"a b"), element(b""), Close]));
        let found = items(b"{\"NULL\",\"a,\\\"}\"}");
        assert_eq!(found, Ok(vec![element(b"NULL"), element(b"a,\"}"), Close]));
        let found = items(b"{{1},{2}}").unwrap();
        assert_eq!(found[..4], [Open, element(b"1"), Close, Open]);
    }

    #[test]
    fn six_dimensions_at_most() {
        assert_eq!(items(b"{{{{{{1}}}}}}").unwrap().len(), 12);
        let error = items(b"{{{{{{{1}}}}}}}").unwrap_err();
        assert_eq!(error.to_string(), "expected an array of up to six dimensions");
    }

    #[test]
    fn nonsense_is_refused() {
        refused(
            items,
            &[
                b"",
                b"{",
                b"1",
                b"{1",
                b"{1,}",
                b"{,1}",
                b"{1}2",
                b"{\"a\"b}",
                b"{a\"b}",
                b"[1:2]{1}",
                b"{1;2",
                b"{\"a}",
                b"{{1}2}",
                b"{1{2}}",
            ],
        );
    }
}

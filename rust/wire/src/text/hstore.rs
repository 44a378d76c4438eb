//! `hstore`.

use super::quoted::quoted;
use crate::Malformed;
use std::borrow::Cow;

/// A key and its value, which may be NULL.
pub type Pair<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

/// What is left of an `hstore`.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a>(&'a [u8]);

impl<'a> Pairs<'a> {
    /// The pairs of an `hstore`.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// The next pair, `None` after the last.
    ///
    /// # Errors
    /// [`Malformed::Text`].
    #[inline]
    pub fn next_pair(&mut self) -> Result<Option<Pair<'a>>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (pair, rest) =
            pair(self.0).ok_or(Malformed::Text("an hstore as \"key\"=>\"value\""))?;
        self.0 = rest;
        Ok(Some(pair))
    }
}

fn pair(data: &[u8]) -> Option<(Pair<'_>, &[u8])> {
    let (key, rest) = quoted(data)?;
    let rest = rest.strip_prefix(b"=>")?;
    let (value, rest) = match rest.strip_prefix(b"NULL") {
        Some(rest) => (None, rest),
        None => quoted(rest).map(|(value, rest)| (Some(value), rest))?,
    };
    match rest.strip_prefix(b", ") {
        // Another pair must come.
        Some([]) => None,
        Some(rest) => Some(((key, value), rest)),
        None => rest.is_empty().then_some(((key, value), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::refused;

    fn read(data: &[u8]) -> Result<Vec<Pair<'_>>, Malformed> {
        let mut pairs = Pairs::new(data);
        let mut found = Vec::new();
        while let Some(pair) = pairs.next_pair()? {
            found.push(pair);
        }
        Ok(found)
    }

    #[test]
    fn pairs_in_order() {
        assert_eq!(read(b""), Ok(vec![]));
        let found = read(b"\"a\"=>\"1\", \"b\\\"\"=>NULL").unwrap();
        assert_eq!(found[0], (Cow::Borrowed(&b"a"[..]), Some(Cow::Borrowed(&b"1"[..]))));
        assert_eq!(found[1], (Cow::Borrowed(&b"b\""[..]), None));
    }

    #[test]
    fn nonsense_is_refused() {
        refused(
            read,
            &[b"a", b"\"a\"", b"\"a\"=>", b"\"a\"=>1", b"\"a\"=>\"1\",", b"\"a\"=>\"1\", "],
        );
    }
}

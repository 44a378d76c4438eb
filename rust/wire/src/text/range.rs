//! Ranges and multiranges.

use super::quoted::quoted;
use crate::{range, Malformed};
use std::borrow::Cow;

const EXPECTED: Malformed = Malformed::Text("a range as [lower,upper)");
const MULTIRANGE: Malformed = Malformed::Text("a multirange as {[lower,upper)}");

/// A range that is not empty.
pub type Range<'a> = range::Range<Cow<'a, [u8]>>;

/// A range; `None` is the empty one.
///
/// # Errors
/// [`Malformed::Text`].
#[inline]
pub fn range(data: &[u8]) -> Result<Option<Range<'_>>, Malformed> {
    if data == b"empty" {
        return Ok(None);
    }
    match first(data) {
        Some((range, [])) => Ok(Some(range)),
        _ => Err(EXPECTED),
    }
}

/// The ranges of a multirange, none of them empty.
///
/// # Errors
/// [`Malformed::Text`].
pub fn multirange(data: &[u8]) -> Result<Vec<Range<'_>>, Malformed> {
    ranges(data).ok_or(MULTIRANGE)
}

fn ranges(data: &[u8]) -> Option<Vec<Range<'_>>> {
    let mut ranges = Vec::new();
    let mut rest = data.strip_prefix(b"{")?.strip_suffix(b"}")?;
    while !rest.is_empty() {
        if !ranges.is_empty() {
            rest = rest.strip_prefix(b",")?;
        }
        let (range, after) = first(rest)?;
        ranges.push(range);
        rest = after;
    }
    Some(ranges)
}

/// The range at the front of `data`, and what follows it.
fn first(data: &[u8]) -> Option<(Range<'_>, &[u8])> {
    let (&opening, rest) = data.split_first()?;
    let (lower, rest) = bound(rest)?;
    let (upper, rest) = bound(rest.strip_prefix(b",")?)?;
    let (&closing, rest) = rest.split_first()?;
    let range = Range {
        lower_inclusive: inclusive(opening, b'[', b'(')?,
        upper_inclusive: inclusive(closing, b']', b')')?,
        lower,
        upper,
    };
    Some((range, rest))
}

fn inclusive(byte: u8, yes: u8, no: u8) -> Option<bool> {
    (byte == yes || byte == no).then_some(byte == yes)
}

type Bound<'a> = Option<Cow<'a, [u8]>>;

/// A bound, which may be missing, and what follows it.
fn bound(data: &[u8]) -> Option<(Bound<'_>, &[u8])> {
    if data.starts_with(b"\"") {
        return quoted(data).map(|(text, rest)| (Some(text), rest));
    }
    let end = data.iter().position(|byte| b",)]".contains(byte))?;
    let (text, rest) = data.split_at(end);
    Some(((!text.is_empty()).then_some(Cow::Borrowed(text)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::refused;

    #[test]
    fn bounds_and_what_belongs() {
        assert_eq!(range(b"empty"), Ok(None));
        let found = range(b"[1,\"2 \"\"\\\\\")").unwrap().unwrap();
        assert_eq!(found.lower.as_deref(), Some(&b"1"[..]));
        assert_eq!(found.upper.as_deref(), Some(&b"2 \"\\"[..]));
        assert!(found.lower_inclusive && !found.upper_inclusive);
        let found = range(b"(,]").unwrap().unwrap();
        assert_eq!((&found.lower, &found.upper), (&None, &None));
        assert!(!found.lower_inclusive && found.upper_inclusive);
        assert_eq!(range(b"(\"\",)").unwrap().unwrap().lower.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn ranges_of_a_multirange() {
        assert_eq!(multirange(b"{}"), Ok(vec![]));
        let found = multirange(b"{[1,2),(3,)}").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].lower.as_deref(), Some(&b"3"[..]));
    }

    #[test]
    fn nonsense_is_refused() {
        refused(
            range,
            &[b"", b"[", b"[1", b"[1,", b"[1,2", b"1,2)", b"[1)", b"[1,2)3", b"[\"1,2)"],
        );
        refused(
            multirange,
            &[b"", b"{", b"{[1,2)", b"{[1,2)[3,4)}", b"{,[1,2)}", b"{[1,2),}", b"{empty}"],
        );
    }
}

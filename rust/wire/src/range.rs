//! Ranges and multiranges: flags, then the bounds that are there.

use crate::reader::{Malformed, Reader};

/// What the first byte of a range says.
pub mod flag {
    /// It has no bounds, and no values.
    pub const EMPTY: u8 = 0x01;
    /// The lower bound belongs to the range.
    pub const LOWER_INCLUSIVE: u8 = 0x02;
    /// The upper bound belongs to the range.
    pub const UPPER_INCLUSIVE: u8 = 0x04;
    /// There is no lower bound.
    pub const LOWER_INFINITE: u8 = 0x08;
    /// There is no upper bound.
    pub const UPPER_INFINITE: u8 = 0x10;
}

/// A range that is not empty, of bounds that are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<B> {
    /// The lower bound; `None` without one.
    pub lower: Option<B>,
    /// The upper bound; `None` without one.
    pub upper: Option<B>,
    /// The lower bound belongs to the range.
    pub lower_inclusive: bool,
    /// The upper bound belongs to the range.
    pub upper_inclusive: bool,
}

/// A range; `None` is the empty one.
///
/// # Errors
/// [`Malformed`] when a bound is missing, is NULL, or something follows.
#[inline]
pub fn range(data: &[u8]) -> Result<Option<Range<&[u8]>>, Malformed> {
    let mut reader = Reader::new(data);
    let flags = reader.u8()?;
    let has = |flag| flags & flag != 0;
    if has(flag::EMPTY) {
        reader.end()?;
        return Ok(None);
    }
    let lower = (!has(flag::LOWER_INFINITE)).then(|| bound(&mut reader));
    let upper = (!has(flag::UPPER_INFINITE)).then(|| bound(&mut reader));
    let (lower, upper) = (lower.transpose()?, upper.transpose()?);
    reader.end()?;
    Ok(Some(Range {
        lower,
        upper,
        lower_inclusive: lower.is_some() && has(flag::LOWER_INCLUSIVE),
        upper_inclusive: upper.is_some() && has(flag::UPPER_INCLUSIVE),
    }))
}

/// A multirange: its ranges, each as long as it says, to be read one after the other.
///
/// # Errors
/// [`Malformed`] when there are fewer bytes than so many ranges need.
#[inline]
pub fn multirange(data: &[u8]) -> Result<(usize, Reader<'_>), Malformed> {
    let mut reader = Reader::new(data);
    // A length and the flags at least.
    let count = reader.count("ranges of a multirange", 5)?;
    Ok((count, reader))
}

/// A bound, or a range of a multirange: never NULL.
///
/// # Errors
/// [`Malformed`] for NULL, or fewer bytes than its length says.
#[inline]
pub fn bound<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    reader.value()?.ok_or(Malformed::Field {
        name: "length of a bound",
        expected: "from 0",
        got: -1,
    })
}

#[cfg(test)]
mod tests {
    use super::flag::{EMPTY, LOWER_INCLUSIVE, LOWER_INFINITE, UPPER_INFINITE};
    use super::*;

    #[test]
    fn flags_say_which_bounds_follow() {
        assert_eq!(range(&[EMPTY]), Ok(None));
        let infinite = [LOWER_INFINITE | UPPER_INFINITE | LOWER_INCLUSIVE];
        let found = range(&infinite).unwrap().unwrap();
        assert_eq!((found.lower, found.upper), (None, None));
        assert!(!found.lower_inclusive);
        let data = [LOWER_INCLUSIVE | UPPER_INFINITE, 0, 0, 0, 1, 9];
        let found = range(&data).unwrap().unwrap();
        assert_eq!((found.lower, found.upper), (Some(&[9][..]), None));
        assert!(found.lower_inclusive && !found.upper_inclusive);
    }

    #[test]
    fn lengths_are_checked() {
        assert!(range(&[]).is_err());
        assert!(range(&[EMPTY, 0]).is_err());
        assert!(range(&[UPPER_INFINITE, 0, 0, 0, 2, 9]).is_err());
        assert!(range(&[UPPER_INFINITE, 0xFF, 0xFF, 0xFF, 0xFF]).is_err());
        assert!(multirange(&[0, 0, 0, 2, 0, 0, 0, 1, EMPTY]).is_err());
        let (count, mut rest) = multirange(&[0, 0, 0, 1, 0, 0, 0, 1, EMPTY]).unwrap();
        assert_eq!((count, bound(&mut rest)), (1, Ok(&[EMPTY][..])));
    }
}

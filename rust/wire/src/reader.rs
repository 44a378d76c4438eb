//! Bounds-checked reading of big-endian fields.

use std::fmt;

/// Why the bytes of a value cannot be a value of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The value has a fixed length, or one that its own header gives.
    Length {
        /// Bytes that the type asks for.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// The value ends before its header does.
    Short {
        /// The least number of bytes that the type asks for.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// A field holds a number that the type does not have.
    Field {
        /// What the field is called.
        name: &'static str,
        /// Which numbers it may hold.
        expected: &'static str,
        /// The number it holds.
        got: i64,
    },
    /// The text is not what the type is printed as, which is this.
    Text(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, got } => write!(f, "expected {expected} bytes, got {got}"),
            Self::Short { expected, got } => {
                write!(f, "expected at least {expected} bytes, got {got}")
            }
            Self::Field {
                name,
                expected,
                got,
            } => write!(f, "expected {name} {expected}, got {got}"),
            Self::Text(expected) => write!(f, "expected {expected}"),
        }
    }
}

impl std::error::Error for Malformed {}

/// The whole of a value whose type has a fixed length.
///
/// # Errors
/// [`Malformed::Length`] when `data` is longer or shorter than `N`.
#[inline]
pub fn exactly<const N: usize>(data: &[u8]) -> Result<[u8; N], Malformed> {
    data.try_into().map_err(|_| Malformed::Length {
        expected: N,
        got: data.len(),
    })
}

/// Takes one field after the other from the front of a value.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Reader<'a> {
    /// Reads `data` from its first byte.
    #[inline]
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self {
            rest: data,
            whole: data.len(),
        }
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(Malformed::Short {
                expected: self.whole - self.rest.len() + N,
                got: self.whole,
            });
        };
        self.rest = rest;
        Ok(*head)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`Malformed::Short`] at the end of the value; so do the other fields.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.take::<1>().map(|[byte]| byte)
    }

    /// The next two bytes.
    ///
    /// # Errors
    /// As [`Reader::u8`].
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.take().map(u16::from_be_bytes)
    }

    /// The next two bytes, signed.
    ///
    /// # Errors
    /// As [`Reader::u8`].
    #[inline]
    pub fn i16(&mut self) -> Result<i16, Malformed> {
        self.take().map(i16::from_be_bytes)
    }

    /// Exactly `length` bytes, which must be all that is left.
    ///
    /// # Errors
    /// [`Malformed::Length`] when more or fewer are left.
    #[inline]
    pub fn last(self, length: usize) -> Result<&'a [u8], Malformed> {
        if self.rest.len() != length {
            return Err(Malformed::Length {
                expected: self.whole - self.rest.len() + length,
                got: self.whole,
            });
        }
        Ok(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_lengths_say_both_numbers() {
        assert_eq!(exactly::<2>(&[1, 2]), Ok([1, 2]));
        let error = exactly::<4>(&[1, 2, 3]).unwrap_err();
        assert_eq!(error.to_string(), "expected 4 bytes, got 3");
    }

    #[test]
    fn fields_are_big_endian_and_bounded() {
        let mut reader = Reader::new(&[1, 2, 0xFF, 0xFE, 9]);
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.i16(), Ok(-2));
        assert_eq!(
            reader.u16(),
            Err(Malformed::Short {
                expected: 6,
                got: 5
            })
        );
        assert_eq!(reader.last(1), Ok(&[9][..]));
        assert_eq!(
            reader.last(3),
            Err(Malformed::Length {
                expected: 7,
                got: 5
            })
        );
    }
}

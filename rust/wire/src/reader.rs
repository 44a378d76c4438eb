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
    /// The value, or what is inside of it, has another type.
    Oid {
        /// What the type is of.
        name: &'static str,
        /// The type that was announced.
        expected: u32,
        /// The type that came.
        got: u32,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, got } => write!(f, "expected {expected} bytes, got {got}"),
            Self::Short { expected, got } => {
                write!(f, "expected at least {expected} bytes, got {got}")
            }
            Self::Field { name, expected, got } => {
                write!(f, "expected {name} {expected}, got {got}")
            }
            Self::Text(expected) => write!(f, "expected {expected}"),
            Self::Oid { name, expected, got } => write!(f, "expected {name} {expected}, got {got}"),
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
    data.try_into().map_err(|_| Malformed::Length { expected: N, got: data.len() })
}

/// Functions that read values which are one number.
macro_rules! numbers {
    ($($(#[$what:meta])+ $name:ident: $type:ty;)+) => {$(
        $(#[$what])+
        ///
        /// # Errors
        /// [`Malformed::Length`].
        #[inline]
        pub fn $name(data: &[u8]) -> Result<$type, Malformed> {
            exactly(data).map(<$type>::from_be_bytes)
        }
    )+};
}
pub(crate) use numbers;

/// Methods of [`Reader`] that take one number from the front.
macro_rules! fields {
    ($($(#[$what:meta])+ $type:ident;)+) => {$(
        $(#[$what])+
        ///
        /// # Errors
        /// [`Malformed::Short`] at the end of the value.
        #[inline]
        pub fn $type(&mut self) -> Result<$type, Malformed> {
            self.take().map($type::from_be_bytes)
        }
    )+};
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
        Self { rest: data, whole: data.len() }
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

    fields! {
        /// The next byte.
        u8;
        /// The next two bytes.
        u16;
        /// The next two bytes, signed.
        i16;
        /// The next four bytes.
        u32;
        /// The next four bytes, signed.
        i32;
        /// The next eight bytes as a double.
        f64;
    }

    /// How many values follow: four bytes. Each must have `least` bytes or more, so that
    /// nobody makes room for values that cannot come.
    ///
    /// # Errors
    /// [`Malformed::Field`] below zero, [`Malformed::Short`] when fewer bytes are left.
    #[inline]
    pub fn count(&mut self, name: &'static str, least: usize) -> Result<usize, Malformed> {
        let got = self.i32()?;
        let count = usize::try_from(got).map_err(|_| Malformed::Field {
            name,
            expected: "from 0",
            got: got.into(),
        })?;
        self.has_room(count.saturating_mul(least))?;
        Ok(count)
    }

    /// # Errors
    /// [`Malformed::Short`] when fewer than `length` bytes are left.
    #[inline]
    pub fn has_room(&self, length: usize) -> Result<(), Malformed> {
        if length <= self.rest.len() {
            return Ok(());
        }
        Err(Malformed::Short {
            expected: (self.whole - self.rest.len()).saturating_add(length),
            got: self.whole,
        })
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// As [`Reader::u8`].
    #[inline]
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        self.has_room(length)?;
        let (head, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(head)
    }

    /// A value inside of this one: four bytes of length, -1 for NULL, then its bytes.
    ///
    /// # Errors
    /// As [`Reader::u8`], or [`Malformed::Field`] for another negative length.
    #[inline]
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.i32()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => self.bytes(length).map(Some),
                Err(_) => Err(Malformed::Field {
                    name: "length of a value",
                    expected: "from 0, or -1 for NULL",
                    got: length.into(),
                }),
            },
        }
    }

    /// The bytes up to the next zero byte, which is skipped.
    ///
    /// # Errors
    /// [`Malformed::Short`] without a zero byte.
    pub fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let Some(length) = self.rest.iter().position(|byte| *byte == 0) else {
            return Err(Malformed::Short { expected: self.whole + 1, got: self.whole });
        };
        let string = self.bytes(length)?;
        self.u8()?;
        Ok(string)
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// [`Malformed::Length`] otherwise.
    #[inline]
    pub fn end(self) -> Result<(), Malformed> {
        self.last(0).map(|_| ())
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
    fn values_inside_of_values() {
        let mut reader = Reader::new(&[0, 0, 0, 1, b'x', 0xFF, 0xFF, 0xFF, 0xFF, b'a', 0]);
        assert_eq!(reader.value(), Ok(Some(&b"x"[..])));
        assert_eq!(reader.value(), Ok(None));
        assert_eq!(reader.string(), Ok(&b"a"[..]));
        assert_eq!(reader.end(), Ok(()));
        let mut reader = Reader::new(&[0xFF, 0xFF, 0xFF, 0xFE]);
        assert_eq!(
            reader.value().unwrap_err().to_string(),
            "expected length of a value from 0, or -1 for NULL, got -2"
        );
        let mut reader = Reader::new(&[0, 0, 0, 9, 1]);
        assert_eq!(reader.value().unwrap_err().to_string(), "expected at least 13 bytes, got 5");
        let mut reader = Reader::new(&[0x7F, 0xFF, 0xFF, 0xFF]);
        assert!(reader.count("items", usize::MAX).is_err());
        assert!(Reader::new(b"abc").string().is_err());
    }

    #[test]
    fn fields_are_big_endian_and_bounded() {
        let mut reader = Reader::new(&[1, 2, 0xFF, 0xFE, 9]);
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.i16(), Ok(-2));
        assert_eq!(reader.u16(), Err(Malformed::Short { expected: 6, got: 5 }));
        assert_eq!(reader.last(1), Ok(&[9][..]));
        assert_eq!(reader.last(3), Err(Malformed::Length { expected: 7, got: 5 }));
    }
}

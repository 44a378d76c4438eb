//! Takes one piece of text after the other from the front of a value.
//!
//! `None` means that something else stands there; what was expected is said once, by the
//! type.

/// What is left to read.
#[derive(Clone, Copy)]
pub struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    #[inline]
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// `true` when nothing is left.
    #[inline]
    pub fn is_done(self) -> bool {
        self.0.is_empty()
    }

    /// The end of the value.
    #[inline]
    pub fn done(self) -> Option<()> {
        self.is_done().then_some(())
    }

    /// Exactly this byte.
    #[inline]
    pub fn byte(&mut self, expected: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        (*first == expected).then(|| self.0 = rest)
    }

    /// Exactly these bytes, if they are next.
    #[inline]
    pub fn skip(&mut self, expected: &[u8]) -> bool {
        let rest = self.0.strip_prefix(expected);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// A sign, if one is next; `true` for a minus.
    #[inline]
    pub fn sign(&mut self) -> bool {
        !self.skip(b"+") && self.skip(b"-")
    }

    /// Exactly two digits.
    #[inline]
    pub fn two_digits(&mut self) -> Option<u8> {
        let (&[tens, ones], rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(10 * digit(tens)? + digit(ones)?)
    }

    /// One to eighteen digits: more could overflow.
    #[inline]
    pub fn number(&mut self) -> Option<i64> {
        let end = self.0.iter().position(|byte| !byte.is_ascii_digit());
        let (digits, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        if !(1..=18).contains(&digits.len()) {
            return None;
        }
        self.0 = rest;
        let add = |sum, byte: &u8| sum * 10 + i64::from(byte - b'0');
        Some(digits.iter().fold(0, add))
    }

    /// A point and one to six digits as microseconds; zero if no point is next.
    #[inline]
    pub fn fraction(&mut self) -> Option<u32> {
        if self.byte(b'.').is_none() {
            return Some(0);
        }
        let before = self.0.len();
        let number = u32::try_from(self.number()?).ok()?;
        let missing = 6_usize.checked_sub(before - self.0.len())?;
        Some(number * 10_u32.pow(u32::try_from(missing).ok()?))
    }

    /// The letters up to what is none.
    #[inline]
    pub fn letters(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !byte.is_ascii_alphabetic());
        let (word, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        word
    }
}

/// The value of a decimal digit.
#[inline]
pub fn digit(byte: u8) -> Option<u8> {
    let value = byte.wrapping_sub(b'0');
    (value < 10).then_some(value)
}

//! Types whose binary form is one number or one string.

use crate::reader::{exactly, numbers, Malformed};

/// `bool`: one byte, anything but zero is true.
///
/// # Errors
/// [`Malformed::Length`].
#[inline]
pub fn boolean(data: &[u8]) -> Result<bool, Malformed> {
    exactly::<1>(data).map(|[byte]| byte != 0)
}

numbers! {
    /// `int2`.
    int2: i16;
    /// `int4`.
    int4: i32;
    /// `int8`.
    int8: i64;
    /// `oid`.
    oid: u32;
}

/// `uuid`: sixteen bytes, most significant first.
///
/// # Errors
/// As [`boolean`].
#[inline]
pub fn uuid(data: &[u8]) -> Result<[u8; 16], Malformed> {
    exactly(data)
}

/// `jsonb`: a version byte, then the text of the document.
///
/// # Errors
/// [`Malformed::Short`] without a version, [`Malformed::Field`] for another than 1.
#[inline]
pub fn jsonb(data: &[u8]) -> Result<&[u8], Malformed> {
    version_one(data, "jsonb version")
}

/// `jsonpath`: as [`jsonb`].
///
/// # Errors
/// As [`jsonb`].
pub fn jsonpath(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.extend_from_slice(version_one(data, "jsonpath version")?);
    Ok(())
}

#[inline]
fn version_one<'a>(data: &'a [u8], name: &'static str) -> Result<&'a [u8], Malformed> {
    match data.split_first() {
        Some((1, text)) => Ok(text),
        Some((&version, _)) => Err(Malformed::Field { name, expected: "1", got: version.into() }),
        None => Err(Malformed::Short { expected: 1, got: 0 }),
    }
}

/// How PostgreSQL writes a `"char"` as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Char {
    /// The zero byte is the empty string.
    Empty,
    /// An ASCII character stands for itself.
    Ascii(u8),
    /// A high byte becomes a backslash and three octal digits.
    Octal([u8; 4]),
}

/// `"char"`: one byte.
///
/// # Errors
/// As [`boolean`].
#[inline]
pub fn char(data: &[u8]) -> Result<Char, Malformed> {
    Ok(match exactly::<1>(data)? {
        [0] => Char::Empty,
        [byte] if byte.is_ascii() => Char::Ascii(byte),
        [byte] => {
            let octal = |shift: u8| b'0' + (byte >> shift & 7);
            Char::Octal([b'\\', octal(6), octal(3), octal(0)])
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_their_sign() {
        assert_eq!(int2(&[0xFF, 0xFF]), Ok(-1));
        assert_eq!(int4(&[0x80, 0, 0, 0]), Ok(i32::MIN));
        assert_eq!(oid(&[0xFF; 4]), Ok(u32::MAX));
        assert_eq!(int8(&[0xFF; 8]), Ok(-1));
        assert_eq!(boolean(&[2]), Ok(true));
        assert!(boolean(&[]).is_err());
    }

    #[test]
    fn char_is_what_charout_prints() {
        assert_eq!(char(&[0]), Ok(Char::Empty));
        assert_eq!(char(b"a"), Ok(Char::Ascii(b'a')));
        assert_eq!(char(&[0o377]), Ok(Char::Octal(*b"\\377")));
    }

    #[test]
    fn jsonb_needs_version_one() {
        assert_eq!(jsonb(b"\x01{}"), Ok(&b"{}"[..]));
        assert_eq!(jsonb(b"\x02{}").unwrap_err().to_string(), "expected jsonb version 1, got 2");
        assert!(jsonb(b"").is_err());
    }
}

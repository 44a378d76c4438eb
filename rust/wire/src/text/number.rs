//! `bool`, integers, floats and `numeric`.

use super::scan::digit;
use crate::Malformed;

/// `bool`.
///
/// # Errors
/// [`Malformed::Text`]; so do all functions here.
#[inline]
pub fn boolean(data: &[u8]) -> Result<bool, Malformed> {
    match data {
        b"t" => Ok(true),
        b"f" => Ok(false),
        _ => Err(Malformed::Text("t or f")),
    }
}

macro_rules! integers {
    ($($what:literal $name:ident: $type:ty, $expected:literal;)+) => {$(
        #[doc = $what]
        ///
        /// # Errors
        /// As [`boolean`].
        #[inline]
        pub fn $name(data: &[u8]) -> Result<$type, Malformed> {
            integer(data).ok_or(Malformed::Text($expected))
        }
    )+};
}

integers! {
    "`int2`." int2: i16, "an integer of two bytes";
    "`int4`." int4: i32, "an integer of four bytes";
    "`int8`." int8: i64, "an integer of eight bytes";
    "`oid`." oid: u32, "an unsigned integer of four bytes";
}

#[inline]
fn integer<T: TryFrom<i64>>(data: &[u8]) -> Option<T> {
    let (negative, digits) = signed(data);
    // As many digits as surely fit in 64 bits: no check per digit.
    let magnitude = (digits.len() <= WORD_DIGITS).then(|| word(digits))??;
    let value = if negative {
        0_i64.checked_sub_unsigned(magnitude)?
    } else {
        i64::try_from(magnitude).ok()?
    };
    T::try_from(value).ok()
}

/// Decimal digits that any `u64` can hold.
const WORD_DIGITS: usize = 19;

#[inline]
fn signed(data: &[u8]) -> (bool, &[u8]) {
    match data.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, data),
    }
}

/// At least one digit, and at most [`WORD_DIGITS`], as a number.
#[inline]
fn word(digits: &[u8]) -> Option<u64> {
    (!digits.is_empty()).then(|| append(0, digits))?
}

/// `number` with `digits` written behind it.
#[inline]
fn append(number: u64, digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(number, |sum, &byte| Some(sum.wrapping_mul(10).wrapping_add(digit(byte)?.into())))
}

/// `float4` and `float8`, as the nearest double. There is one NaN.
///
/// # Errors
/// As [`boolean`].
#[inline]
pub fn float(data: &[u8]) -> Result<f64, Malformed> {
    let text = std::str::from_utf8(data).ok();
    let value = text.and_then(|text| text.parse::<f64>().ok());
    match value.ok_or(Malformed::Text("a floating point number"))? {
        value if value.is_nan() => Ok(f64::NAN),
        value => Ok(value),
    }
}

/// A `numeric`, in a form that costs nothing to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numeric<'a> {
    /// Up to 38 digits.
    Short(Short),
    /// More digits than that, NaN or an infinity, as any parser of decimals reads them.
    Other(&'a str),
}

/// `(words[0] + words[1] * 10 ** 19) * 10 ** -scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// Whether there is a minus in front.
    pub negative: bool,
    /// The last nineteen digits, and those before them.
    pub words: [u64; 2],
    /// Decimal digits behind the point, trailing zeros included.
    pub scale: u16,
}

/// `numeric`.
///
/// # Errors
/// As [`boolean`].
#[inline]
pub fn numeric(data: &[u8]) -> Result<Numeric<'_>, Malformed> {
    finite(data).or_else(|| special(data)).ok_or(Malformed::Text("a decimal number"))
}

#[inline]
fn finite(data: &[u8]) -> Option<Numeric<'_>> {
    let (negative, unsigned) = signed(data);
    let (whole, fraction) = match unsigned.iter().position(|&byte| byte == b'.') {
        Some(point) => (&unsigned[..point], &unsigned[point + 1..]),
        None => (unsigned, &[][..]),
    };
    // A point has digits on both sides.
    if whole.is_empty() || (fraction.is_empty() && whole.len() < unsigned.len()) {
        return None;
    }
    let count = whole.len() + fraction.len();
    let words = if count <= WORD_DIGITS {
        [append(append(0, whole)?, fraction)?, 0]
    } else if count <= 2 * WORD_DIGITS {
        two_words(whole, fraction, count - WORD_DIGITS)?
    } else {
        return many(data, whole, fraction);
    };
    Some(Numeric::Short(Short { negative, words, scale: u16::try_from(fraction.len()).ok()? }))
}

/// Two words, of which the upper one has the first `upper` digits.
fn two_words(whole: &[u8], fraction: &[u8], upper: usize) -> Option<[u64; 2]> {
    let (high_whole, low_whole) = whole.split_at(upper.min(whole.len()));
    let (high_fraction, low_fraction) = fraction.split_at(upper - high_whole.len());
    let high = append(append(0, high_whole)?, high_fraction)?;
    let low = append(append(0, low_whole)?, low_fraction)?;
    Some([low, high])
}

#[cold]
fn many<'a>(data: &'a [u8], whole: &[u8], fraction: &[u8]) -> Option<Numeric<'a>> {
    let digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    let text = std::str::from_utf8(data).ok()?;
    digits.then_some(Numeric::Other(text))
}

#[cold]
fn special(data: &[u8]) -> Option<Numeric<'_>> {
    match data {
        b"NaN" => Some(Numeric::Other("NaN")),
        b"Infinity" => Some(Numeric::Other("Infinity")),
        b"-Infinity" => Some(Numeric::Other("-Infinity")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(text: &str) -> (bool, [u64; 2], u16) {
        match numeric(text.as_bytes()) {
            Ok(Numeric::Short(short)) => (short.negative, short.words, short.scale),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn integers_of_every_size() {
        assert_eq!(int2(b"-32768"), Ok(i16::MIN));
        assert_eq!(int2(b"32767"), Ok(i16::MAX));
        assert_eq!(int4(b"-2147483648"), Ok(i32::MIN));
        assert_eq!(int8(b"-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(int8(b"9223372036854775807"), Ok(i64::MAX));
        assert_eq!(oid(b"4294967295"), Ok(u32::MAX));
        assert!(int2(b"32768").is_err());
        assert!(int4(b"2147483648").is_err());
        assert!(int8(b"9223372036854775808").is_err());
        assert!(int8(b"18446744073709551617").is_err());
        assert!(oid(b"-1").is_err());
        for nonsense in [&b""[..], b"-", b"--1", b"+1", b" 1", b"1 ", b"1.0", b"\xb1"] {
            assert!(int8(nonsense).is_err());
        }
    }

    #[test]
    fn floats_and_their_specials() {
        assert_eq!(float(b"-1.5e-10"), Ok(-1.5e-10));
        assert_eq!(float(b"Infinity"), Ok(f64::INFINITY));
        assert_eq!(float(b"-Infinity"), Ok(f64::NEG_INFINITY));
        assert_eq!(float(b"-0").unwrap().to_bits(), (-0.0_f64).to_bits());
        assert_eq!(float(b"NaN").unwrap().to_bits(), f64::NAN.to_bits());
        assert!(float(b"").is_err());
        assert!(float(b"1,5").is_err());
        assert!(float(b"\xff").is_err());
    }

    #[test]
    fn numerics_are_split_after_nineteen_digits() {
        assert_eq!(short("0"), (false, [0, 0], 0));
        assert_eq!(short("-0.50"), (true, [50, 0], 2));
        assert_eq!(short("12345678.90"), (false, [1_234_567_890, 0], 2));
        let nines = 9_999_999_999_999_999_999;
        assert_eq!(short("9999999999999999999"), (false, [nines, 0], 0));
        assert_eq!(short("10000000000000000000"), (false, [0, 1], 0));
        assert_eq!(short("-1.0000000000000000000000"), (true, [0, 1000], 22));
        assert_eq!(short(&"9".repeat(38)), (false, [nines, nines], 0));
        assert_eq!(short("12345678901234567890.5").1, [3_456_789_012_345_678_905, 12]);
    }

    #[test]
    fn other_numerics_stay_text() {
        for text in [&"9".repeat(39), "NaN", "Infinity", "-Infinity"] {
            assert_eq!(numeric(text.as_bytes()), Ok(Numeric::Other(text)));
        }
        for nonsense in ["", "-", ".", "1.", ".1", "1.2.3", "1e5", "nan", "-NaN", "1-"] {
            assert!(numeric(nonsense.as_bytes()).is_err(), "{nonsense}");
        }
        assert!(numeric(format!("{}x", "9".repeat(39)).as_bytes()).is_err());
    }
}

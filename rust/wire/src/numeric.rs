//! `numeric`: a sign, a scale and digits in base 10000.

use crate::reader::{Malformed, Reader};

/// A `numeric` value.
#[derive(Clone, Copy, Debug)]
pub enum Numeric<'a> {
    /// Not a number.
    NaN,
    /// Positive infinity (PostgreSQL 14 and later).
    Infinity,
    /// Negative infinity.
    NegativeInfinity,
    /// Any other.
    Finite(Finite<'a>),
}

/// A finite `numeric`: the digits are worth `10000 ** (weight - index)` each, and
/// `scale` of the decimal digits stand behind the point.
#[derive(Clone, Copy, Debug)]
pub struct Finite<'a> {
    /// Below zero.
    pub negative: bool,
    /// Decimal digits behind the point, trailing zeros included.
    pub scale: u16,
    weight: i16,
    digits: &'a [[u8; 2]],
}

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;
/// The scale has 14 bits.
const MAX_SCALE: u16 = 0x3FFF;

/// The most zeros that [`append`] puts between a number and its point.
pub const MAX_ZEROS: i32 = 100;
/// A `u128` has 39 decimal digits.
const GROUPS: usize = 11;

/// `numeric`.
///
/// # Errors
/// [`Malformed`] when the length does not match the header, or a field or a digit
/// holds what PostgreSQL does not send.
#[inline]
pub fn numeric(data: &[u8]) -> Result<Numeric<'_>, Malformed> {
    let mut reader = Reader::new(data);
    let count = reader.u16()?;
    let weight = reader.i16()?;
    let sign = reader.u16()?;
    let scale = reader.u16()?;
    let (digits, _) = reader.last(2 * usize::from(count))?.as_chunks::<2>();
    if sign != POSITIVE && sign != NEGATIVE {
        return special(sign);
    }
    if scale > MAX_SCALE {
        return Err(Malformed::Field {
            name: "numeric scale",
            expected: "up to 16383",
            got: scale.into(),
        });
    }
    if let Some(&digit) = digits.iter().find(|digit| value(**digit) > 9999) {
        return Err(Malformed::Field {
            name: "numeric digit",
            expected: "up to 9999",
            got: value(digit).into(),
        });
    }
    Ok(Numeric::Finite(Finite { negative: sign == NEGATIVE, scale, weight, digits }))
}

#[cold]
fn special(sign: u16) -> Result<Numeric<'static>, Malformed> {
    match sign {
        NAN => Ok(Numeric::NaN),
        INFINITY => Ok(Numeric::Infinity),
        NEGATIVE_INFINITY => Ok(Numeric::NegativeInfinity),
        _ => Err(Malformed::Field {
            name: "numeric sign",
            expected: "0x0000, 0x4000, 0xC000, 0xD000 or 0xF000",
            got: sign.into(),
        }),
    }
}

#[inline]
fn value(digit: [u8; 2]) -> u16 {
    u16::from_be_bytes(digit)
}

/// Append `coefficient * 10 ** exponent` as PostgreSQL keeps it: groups of four decimal
/// digits from the point on, none of zero at the ends. `false`, and nothing appended, for
/// more places than it keeps, or more zeros before the point than [`MAX_ZEROS`].
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
pub fn append(negative: bool, coefficient: u128, exponent: i32, out: &mut Vec<u8>) -> bool {
    let Ok(scale) = u16::try_from((-exponent).max(0)) else {
        return false;
    };
    if scale > MAX_SCALE || exponent > MAX_ZEROS {
        return false;
    }
    let mut groups = [0_u16; GROUPS];
    let (count, mut weight) = split(coefficient, exponent, &mut groups);
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    weight += zeros as i32;
    let digits = groups.get(zeros..count).unwrap_or_default();
    if digits.is_empty() {
        weight = 0;
    } else {
        weight += digits.len() as i32 - 1;
    }
    let sign = if negative { NEGATIVE } else { POSITIVE };
    out.extend((digits.len() as u16).to_be_bytes());
    out.extend((weight as i16).to_be_bytes());
    out.extend(sign.to_be_bytes());
    out.extend(scale.to_be_bytes());
    for group in digits.iter().rev() {
        out.extend(group.to_be_bytes());
    }
    true
}

/// Fill `groups`, the lowest first; return how many there are, and the lowest one's
/// weight.
#[inline]
#[allow(clippy::cast_possible_truncation)]
fn split(coefficient: u128, exponent: i32, groups: &mut [u16; GROUPS]) -> (usize, i32) {
    // The lowest group has digits of the number and zeros behind them.
    let zeros = exponent.rem_euclid(4).unsigned_abs();
    let (shift, power) = (10_u128.pow(4 - zeros), 10_u16.pow(zeros));
    let mut rest = coefficient;
    let mut count = 0;
    let mut places = groups.iter_mut();
    if let Some(lowest) = places.next() {
        *lowest = (rest % shift) as u16 * power;
        rest /= shift;
        count += usize::from(rest > 0 || *lowest > 0);
    }
    while rest > 0 {
        let Some(place) = places.next() else { break };
        // Division of 128 bits calls a function: most numbers do not need it.
        if let Ok(small) = u64::try_from(rest) {
            *place = (small % 10_000) as u16;
            rest = (small / 10_000).into();
        } else {
            *place = (rest % 10_000) as u16;
            rest /= 10_000;
        }
        count += 1;
    }
    (count, exponent.div_euclid(4))
}

/// The value of a [`Finite`] in an integer that holds `$places` decimal digits, or None.
macro_rules! magnitude {
    ($finite:ident, $integer:ident, $places:literal) => {{
        let shift = $finite.shift();
        let groups = $finite.digits.len();
        if groups > $places / 4 || shift < -3 {
            return None;
        }
        let number = $finite
            .digits
            .iter()
            .fold(0, |sum: $integer, digit| sum * 10_000 + $integer::from(value(*digit)));
        let power = $integer::pow(10, shift.unsigned_abs().min($places));
        if shift < 0 {
            Some(number / power)
        } else {
            // Leading zeros count: an exact bound would cost more than it gives.
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
            let room = $places - 4 * groups as i32;
            (shift <= room).then(|| number * power)
        }
    }};
}

impl Finite<'_> {
    /// Decimal places by which the digits, read as one integer, must move to the left to
    /// count units of `10 ** -scale`; negative when zeros of the last digit fall off.
    #[inline]
    fn shift(&self) -> i32 {
        if self.digits.is_empty() {
            return 0;
        }
        // At most 65535 digits: no overflow.
        #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
        let after_last = i32::from(self.weight) + 1 - self.digits.len() as i32;
        4 * after_last + i32::from(self.scale)
    }

    /// The value without sign in units of `10 ** -scale`, when it surely has no more than
    /// 19 decimal digits: nearly all of them.
    #[inline]
    #[must_use]
    pub fn small(&self) -> Option<u64> {
        magnitude!(self, u64, 19)
    }

    /// As [`Finite::small`], up to 38 decimal digits.
    #[must_use]
    pub fn medium(&self) -> Option<u128> {
        magnitude!(self, u128, 38)
    }

    /// As PostgreSQL prints it.
    #[must_use]
    pub fn print(&self) -> String {
        use std::fmt::Write;
        let weight = i32::from(self.weight);
        let digit = |power: i32| {
            usize::try_from(weight - power)
                .ok()
                .and_then(|index| self.digits.get(index))
                .map_or(0, |digit| value(*digit))
        };
        let mut out = String::new();
        if self.negative {
            out.push('-');
        }
        let _ = write!(out, "{}", digit(weight.max(0)));
        for power in (0..weight).rev() {
            let _ = write!(out, "{:04}", digit(power));
        }
        if self.scale > 0 {
            out.push('.');
            let end = out.len() + usize::from(self.scale);
            let mut power = -1;
            while out.len() < end {
                let _ = write!(out, "{:04}", digit(power));
                power -= 1;
            }
            out.truncate(end);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> Vec<u8> {
        let count = u16::try_from(digits.len()).unwrap();
        let mut out = Vec::new();
        out.extend(count.to_be_bytes());
        out.extend(weight.to_be_bytes());
        out.extend(sign.to_be_bytes());
        out.extend(scale.to_be_bytes());
        out.extend(digits.iter().flat_map(|digit| digit.to_be_bytes()));
        out
    }

    fn finite(data: &[u8]) -> Finite<'_> {
        match numeric(data) {
            Ok(Numeric::Finite(finite)) => finite,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_and_integer_agree() {
        for (weight, scale, digits, text, units) in [
            (0, 0, &[][..], "0", 0),
            (0, 2, &[][..], "0.00", 0),
            (0, 2, &[12, 3400][..], "12.34", 1234),
            (0, 1, &[12, 3000][..], "12.3", 123),
            (-1, 4, &[1][..], "0.0001", 1),
            (-2, 8, &[500][..], "0.00000500", 500),
            (2, 0, &[1][..], "100000000", 100_000_000),
            (1, 3, &[1, 2, 30][..], "10002.003", 10_002_003),
        ] {
            let data = bytes(weight, POSITIVE, scale, digits);
            let value = finite(&data);
            assert_eq!(value.print(), text);
            assert_eq!(value.small(), Some(units));
            assert_eq!(value.medium(), Some(units.into()));
            let data = bytes(weight, NEGATIVE, scale, digits);
            assert_eq!(finite(&data).print(), format!("-{text}"));
        }
    }

    #[test]
    fn sizes_end_where_they_say() {
        let data = bytes(3, POSITIVE, 3, &[9999; 4]);
        assert_eq!(finite(&data).small(), Some(9_999_999_999_999_999_000));
        let data = bytes(3, POSITIVE, 4, &[9999; 4]);
        assert_eq!(finite(&data).small(), None);
        assert_eq!(finite(&data).medium(), Some(99_999_999_999_999_990_000));
        let data = bytes(8, POSITIVE, 2, &[9999; 9]);
        assert_eq!(finite(&data).medium(), Some(10_u128.pow(38) - 100));
        let data = bytes(8, POSITIVE, 3, &[9999; 9]);
        assert_eq!(finite(&data).medium(), None);
        assert_eq!(finite(&data).print(), format!("{}.000", "9".repeat(36)));
    }

    #[test]
    fn what_is_appended_is_what_postgresql_sends() {
        for (coefficient, exponent, weight, scale, digits) in [
            (0, 0, 0, 0, &[][..]),
            (0, -2, 0, 2, &[][..]),
            (0, 7, 0, 0, &[][..]),
            (1234, -2, 0, 2, &[12, 3400][..]),
            (123, -1, 0, 1, &[12, 3000][..]),
            (1, -4, -1, 4, &[1][..]),
            (500, -8, -2, 8, &[500][..]),
            (1, 8, 2, 0, &[1][..]),
            (12, 3, 1, 0, &[1, 2000][..]),
            (1_000_000, 0, 1, 0, &[100][..]),
            (10_002_003, -3, 1, 3, &[1, 2, 30][..]),
        ] {
            let mut out = Vec::new();
            assert!(append(false, coefficient, exponent, &mut out));
            assert_eq!(out, bytes(weight, POSITIVE, scale, digits));
        }
        let mut out = Vec::new();
        assert!(append(true, u128::MAX, -39, &mut out));
        let text = format!("-0.{}", u128::MAX);
        assert_eq!(finite(&out).print(), text);
        assert!(!append(false, 1, -0x4000, &mut out));
        assert!(!append(false, 1, MAX_ZEROS + 1, &mut out));
        assert!(!append(false, 1, i32::MIN + 1, &mut out));
    }

    #[test]
    fn specials_and_nonsense() {
        assert!(matches!(numeric(&bytes(0, NAN, 0, &[])), Ok(Numeric::NaN)));
        assert!(matches!(numeric(&bytes(0, INFINITY, 32, &[])), Ok(Numeric::Infinity)));
        for data in [
            bytes(0, 0x1234, 0, &[]),
            bytes(0, POSITIVE, 0, &[10_000]),
            bytes(0, POSITIVE, 0x4000, &[]),
            vec![0, 1, 0, 0, 0, 0, 0, 0],
            vec![0, 0, 0],
        ] {
            assert!(numeric(&data).is_err());
        }
        assert_eq!(
            numeric(&[0, 1, 0, 0, 0, 0, 0, 0]).unwrap_err().to_string(),
            "expected 10 bytes, got 8"
        );
    }
}

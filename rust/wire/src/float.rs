//! `float8`, and `float4` by way of the decimal that PostgreSQL prints for it.
//!
//! Python has no single precision. Read as text, `1.1::float4` is the shortest decimal
//! that identifies it, 1.1, and so must it be here: not 1.10000002384185791015625.
//! "Shortest" is PostgreSQL's meaning: strictly inside the rounding interval (a bound
//! itself does not count), nearest to the value, even last digit on a tie. Rust's own
//! shortest output differs in both fine points, hence the exact comparison below.

use crate::reader::{exactly, Malformed};
use std::cmp::Ordering;
use std::fmt::Write;

/// `float8`. Every NaN is the one NaN that the text "NaN" gives.
///
/// # Errors
/// [`Malformed::Length`].
#[inline]
pub fn float8(data: &[u8]) -> Result<f64, Malformed> {
    let value = exactly(data).map(f64::from_be_bytes)?;
    Ok(if value.is_nan() { f64::NAN } else { value })
}

/// `float4`, as the double nearest to its printed form.
///
/// # Errors
/// [`Malformed::Length`].
#[inline]
pub fn float4(data: &[u8]) -> Result<f64, Malformed> {
    Ok(printed(exactly(data).map(f32::from_be_bytes)?))
}

/// The double nearest to the shortest decimal of `value`.
fn printed(value: f32) -> f64 {
    let wide = f64::from(value);
    // Integers below 2 ** 24 are their own shortest decimals.
    if value.is_nan() {
        return f64::NAN;
    }
    if value.is_infinite() || (wide.trunc() == wide && wide.abs() < 16_777_216.0) {
        return wide;
    }
    let magnitude = shortest(value.abs()).unwrap_or(wide.abs());
    magnitude.copysign(wide)
}

/// A decimal: `digits * 10 ** exponent`.
#[derive(Clone, Copy)]
struct Decimal {
    digits: u64,
    exponent: i32,
}

/// A positive finite value in quarters of its unit in the last place, so that both
/// bounds of its rounding interval are integers: `quarters * 2 ** exponent`.
struct Interval {
    below: u64,
    value: u64,
    above: u64,
    exponent: i32,
}

impl Interval {
    fn of(value: f32) -> Self {
        let bits = value.to_bits();
        let (stored, fraction) = (bits >> 23 & 0xFF, bits & 0x7F_FFFF);
        let (mantissa, exponent) = match stored {
            0 => (fraction, -149),
            _ => (fraction | 0x80_0000, stored.cast_signed() - 150),
        };
        // Below a power of two the neighbour is only half as far away.
        let narrow = fraction == 0 && stored > 1;
        let quarters = 4 * u64::from(mantissa);
        Self {
            below: quarters - if narrow { 1 } else { 2 },
            value: quarters,
            above: quarters + 2,
            exponent: exponent - 2,
        }
    }

    fn holds(&self, decimal: Decimal) -> bool {
        compare(decimal, self.below, self.exponent).is_gt()
            && compare(decimal, self.above, self.exponent).is_lt()
    }
}

fn shortest(value: f32) -> Option<f64> {
    let interval = Interval::of(value);
    // Rust's shortest never has more digits than PostgreSQL's.
    let fewest = decimal(value, None)?.digits.checked_ilog10()?;
    (fewest..9).find_map(|behind_point| {
        let nearest = decimal(value, Some(behind_point as usize))?;
        let candidate = inside(&interval, nearest)?;
        format_parse(candidate)
    })
}

/// `nearest`, or the neighbour with as many digits that is inside where it is not, or
/// that is even where both are as near.
fn inside(interval: &Interval, nearest: Decimal) -> Option<Decimal> {
    let beside = |digits| Decimal { digits, ..nearest };
    let neighbours = [
        beside(nearest.digits.wrapping_sub(1)),
        beside(nearest.digits + 1),
    ];
    if !interval.holds(nearest) {
        return neighbours.into_iter().find(|other| interval.holds(*other));
    }
    if nearest.digits.is_multiple_of(2) {
        return Some(nearest);
    }
    // A tie: the value lies in the middle, at (a + b) / 2.
    let tied = neighbours.into_iter().find(|other| {
        let sum = beside(nearest.digits + other.digits);
        compare(sum, 2 * interval.value, interval.exponent).is_eq()
    });
    Some(tied.unwrap_or(nearest))
}

/// Rust's decimal of `value`, with a number of digits behind the point or the shortest.
fn decimal(value: f32, behind_point: Option<usize>) -> Option<Decimal> {
    let mut text = String::with_capacity(24);
    match behind_point {
        Some(places) => write!(text, "{value:.places$e}").ok()?,
        None => write!(text, "{value:e}").ok()?,
    }
    let (number, exponent) = text.split_once('e')?;
    let places = number.split_once('.').map_or(0, |(_, after)| after.len());
    let digits = number
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let exponent = exponent.parse::<i32>().ok()?;
    Some(Decimal {
        digits,
        exponent: exponent - i32::try_from(places).ok()?,
    })
}

fn format_parse(decimal: Decimal) -> Option<f64> {
    let mut text = String::with_capacity(24);
    write!(text, "{}e{}", decimal.digits, decimal.exponent).ok()?;
    text.parse().ok()
}

/// Compare `decimal` with `number * 2 ** exponent`, exactly.
fn compare(decimal: Decimal, number: u64, exponent: i32) -> Ordering {
    // 10 ** n is 5 ** n * 2 ** n: multiply the fives on the side where they are whole,
    // then shift the side with more twos. The largest sides need 160 bits.
    let mut left = Wide::from(decimal.digits);
    let mut right = Wide::from(number);
    let side = if decimal.exponent >= 0 {
        &mut left
    } else {
        &mut right
    };
    side.times_fives(decimal.exponent.unsigned_abs());
    let twos = decimal.exponent - exponent;
    let side = if twos >= 0 { &mut left } else { &mut right };
    side.shift(twos.unsigned_abs());
    left.cmp(&right)
}

/// An integer of 256 bits, most significant word first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wide([u64; 4]);

impl From<u64> for Wide {
    fn from(number: u64) -> Self {
        Self([0, 0, 0, number])
    }
}

impl Wide {
    #[allow(clippy::cast_possible_truncation)]
    fn times(&mut self, factor: u64) {
        let mut carry = 0_u128;
        for word in self.0.iter_mut().rev() {
            let product = u128::from(*word) * u128::from(factor) + carry;
            *word = product as u64;
            carry = product >> 64;
        }
    }

    fn times_fives(&mut self, count: u32) {
        for _ in 0..count / 27 {
            self.times(5_u64.pow(27));
        }
        self.times(5_u64.pow(count % 27));
    }

    fn shift(&mut self, bits: u32) {
        for _ in 0..bits / 32 {
            self.times(1 << 32);
        }
        self.times(1 << (bits % 32));
    }
}

#[cfg(test)]
#[allow(clippy::excessive_precision)]
mod tests {
    use super::*;

    #[test]
    fn printed_like_postgresql() {
        for (value, text) in [
            (1.1_f32, "1.1"),
            (0.1, "0.1"),
            (2_097_152.25, "2097152.2"),
            (2_097_152.75, "2097152.8"),
            (-2.5e-3, "-0.0025"),
            (f32::MAX, "3.4028235e38"),
            (f32::MIN_POSITIVE, "1.1754944e-38"),
            (f32::from_bits(1), "1e-45"),
            (16_777_216.0, "16777216"),
            (33_554_432.0, "33554432"),
            (9.5e-40, "9.5e-40"),
            // As PostgreSQL 18 prints them.
            (8_388_608.0, "8388608"),
            (33_554_448.0, "33554448"),
            (8.999_999e9, "8.999999e9"),
            (3.436_672e10, "3.4366718e10"),
            (0.305_404_12, "0.30540413"),
            (8.099_025_6e3, "8099.0254"),
        ] {
            let expected: f64 = text.parse().unwrap();
            assert_eq!(printed(value).to_bits(), expected.to_bits(), "{text}");
        }
        assert!(float4(&[0x7F, 0xC0, 0, 0]).unwrap().is_nan());
        assert_eq!(
            float4(&[0x80, 0, 0, 0]).unwrap().to_bits(),
            (-0.0_f64).to_bits()
        );
        assert_eq!(float4(&[0x7F, 0x80, 0, 0]).unwrap(), f64::INFINITY);
    }

    #[test]
    fn every_decimal_comes_back() {
        let mut bits = 0x1234_5678_u32;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = f32::from_bits(bits);
            if value.is_nan() {
                continue;
            }
            #[allow(clippy::cast_possible_truncation)]
            let back = printed(value) as f32;
            assert_eq!(back.to_bits(), value.to_bits());
        }
    }

    #[test]
    fn nan_has_no_sign() {
        let negative = (-f64::NAN).to_be_bytes();
        assert_eq!(float8(&negative).unwrap().to_bits(), f64::NAN.to_bits());
        assert!(float8(&[0; 7]).is_err());
    }
}

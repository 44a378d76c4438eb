//! The shortest decimal of a binary floating-point number, as PostgreSQL prints it.
//!
//! "Shortest" is PostgreSQL's meaning: strictly inside the rounding interval (a bound
//! itself does not count), nearest to the value, even last digit on a tie. Rust's own
//! shortest output differs in both fine points, hence the exact comparison below.

use std::cmp::Ordering;

/// Beyond this power of ten no decimal of 17 digits is a bound of an interval or as near
/// to the value as another: both would need a multiple of `5 ** 28` below `10 ** 19`.
const EXACT: u32 = 27;

/// A decimal: `digits * 10 ** exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub digits: u64,
    pub exponent: i32,
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
    /// Of the value `mantissa * 2 ** exponent`. Below a power of two, where the interval
    /// is `narrow`, the neighbour is only half as far away.
    fn new(mantissa: u64, exponent: i32, narrow: bool) -> Self {
        let quarters = 4 * mantissa;
        Self {
            below: quarters - if narrow { 1 } else { 2 },
            value: quarters,
            above: quarters + 2,
            exponent: exponent - 2,
        }
    }

    fn of4(value: f32) -> Self {
        let bits = value.to_bits();
        let (stored, fraction) = (bits >> 23 & 0xFF, bits & 0x7F_FFFF);
        match stored {
            0 => Self::new(fraction.into(), -149, false),
            _ => Self::new(
                (fraction | 0x80_0000).into(),
                stored.cast_signed() - 150,
                fraction == 0 && stored > 1,
            ),
        }
    }

    fn of8(value: f64) -> Self {
        let bits = value.to_bits();
        let (stored, fraction) = (bits >> 52 & 0x7FF, bits & 0xF_FFFF_FFFF_FFFF);
        #[allow(clippy::cast_possible_truncation)] // of eleven bits
        match stored as i32 {
            0 => Self::new(fraction, -1074, false),
            stored => Self::new(
                fraction | 0x10_0000_0000_0000,
                stored - 1075,
                fraction == 0 && stored > 1,
            ),
        }
    }

    fn holds(&self, decimal: Decimal) -> bool {
        compare(decimal, self.below, self.exponent).is_gt()
            && compare(decimal, self.above, self.exponent).is_lt()
    }
}

/// The shortest decimal of a positive finite `float4`.
pub(crate) fn shortest4(value: f32) -> Option<Decimal> {
    let interval = Interval::of4(value);
    let fewest = Decimal::read(&format!("{value:e}"))?;
    search(value.into(), fewest, 9, &interval)
}

/// The shortest decimal of a positive finite `float8`.
pub(crate) fn shortest8(value: f64) -> Option<Decimal> {
    let interval = Interval::of8(value);
    let fewest = Decimal::read(&format!("{value:e}"))?;
    // Bounds round to even mantissas only, and a second decimal as near as the first is
    // possible from 16 digits on: the unit in the last place exceeds that of the decimal.
    let odd = interval.value & 4 != 0;
    if fewest.exponent.unsigned_abs() > EXACT || (odd && fewest.digits < 10_u64.pow(15)) {
        return Some(fewest);
    }
    search(value, fewest, 17, &interval)
}

/// With as few digits as possible. Rust's shortest, `fewest`, never has more of them than
/// PostgreSQL's.
fn search(value: f64, fewest: Decimal, most: u32, interval: &Interval) -> Option<Decimal> {
    // It is the nearest one too: worth a look before the slow, exact decimals.
    inside(interval, fewest).or_else(|| {
        let fewest = fewest.digits.checked_ilog10()?;
        (fewest..most).find_map(|behind_point| {
            let places = behind_point as usize;
            inside(interval, Decimal::read(&format!("{value:.places$e}"))?)
        })
    })
}

/// `nearest`, or the neighbour with as many digits that is inside where it is not, or
/// that is even where both are as near.
fn inside(interval: &Interval, nearest: Decimal) -> Option<Decimal> {
    let beside = |digits| Decimal { digits, ..nearest };
    let neighbours = [beside(nearest.digits.wrapping_sub(1)), beside(nearest.digits + 1)];
    if !interval.holds(nearest) {
        return neighbours.into_iter().find(|other| interval.holds(*other));
    }
    if nearest.digits.is_multiple_of(2) {
        return Some(nearest);
    }
    // A tie: the value lies in the middle, at (a + b) / 2. Only one of the two is inside
    // where the interval has a narrow side.
    let tied = neighbours.into_iter().find(|other| {
        let sum = beside(nearest.digits + other.digits);
        compare(sum, 2 * interval.value, interval.exponent).is_eq() && interval.holds(*other)
    });
    Some(tied.unwrap_or(nearest))
}

impl Decimal {
    /// Of what Rust writes with `{:e}`.
    fn read(text: &str) -> Option<Self> {
        let (number, exponent) = text.split_once('e')?;
        let places = number.split_once('.').map_or(0, |(_, after)| after.len());
        let digits = number
            .bytes()
            .filter(u8::is_ascii_digit)
            .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        let exponent = exponent.parse::<i32>().ok()?;
        Some(Self { digits, exponent: exponent - i32::try_from(places).ok()? })
    }

    /// Append it: powers of ten from -4 to 14 with a point, others with an exponent.
    fn print(self, out: &mut Vec<u8>) {
        let digits = self.digits.to_string();
        let power = self.exponent + i32::try_from(digits.len()).unwrap_or(0) - 1;
        if !(-4..15).contains(&power) {
            return scientific(&digits, power, out);
        }
        let before = usize::try_from(power + 1).unwrap_or(0);
        let (whole, fraction) = digits.split_at(before.min(digits.len()));
        out.extend_from_slice(if whole.is_empty() { b"0" } else { whole.as_bytes() });
        out.extend(std::iter::repeat_n(b'0', before.saturating_sub(digits.len())));
        if !fraction.is_empty() {
            out.push(b'.');
            let leading = usize::try_from(-power - 1).unwrap_or(0);
            out.extend(std::iter::repeat_n(b'0', leading));
            out.extend_from_slice(fraction.as_bytes());
        }
    }

    /// The double nearest to it.
    pub(crate) fn parse(self) -> Option<f64> {
        format!("{}e{}", self.digits, self.exponent).parse().ok()
    }
}

fn scientific(digits: &str, power: i32, out: &mut Vec<u8>) {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if power < 0 { '-' } else { '+' };
    let power = power.unsigned_abs();
    out.extend_from_slice(format!("{first}{point}{rest}e{sign}{power:02}").as_bytes());
}

/// Append a `float8` as PostgreSQL prints it.
pub(crate) fn print8(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        return out.extend_from_slice(b"Infinity");
    }
    let magnitude = value.abs();
    if magnitude < 1e15 && magnitude.trunc() == magnitude {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        return out.extend_from_slice((magnitude as u64).to_string().as_bytes());
    }
    // Never None: Rust prints every finite number with an exponent.
    if let Some(decimal) = shortest8(magnitude) {
        decimal.print(out);
    }
}

/// Compare `decimal` with `number * 2 ** exponent`, exactly.
fn compare(decimal: Decimal, number: u64, exponent: i32) -> Ordering {
    // 10 ** n is 5 ** n * 2 ** n: multiply the fives on the side where they are whole,
    // then shift the side with more twos. The largest sides need 160 bits.
    let mut left = Wide::from(decimal.digits);
    let mut right = Wide::from(number);
    let side = if decimal.exponent >= 0 { &mut left } else { &mut right };
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
mod tests {
    use super::*;

    #[test]
    fn prints_as_postgresql_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (f64::NAN, "NaN"),
            (-f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (1.0, "1"),
            (-100.0, "-100"),
            (0.1, "0.1"),
            (1e-4, "0.0001"),
            (1.25e-5, "1.25e-05"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e15, "1e+15"),
            (1_234_567_890_123_456.0, "1.234567890123456e+15"),
            (12.5, "12.5"),
            // Bounds do not count: not 1e+23.
            (1e23, "9.999999999999999e+22"),
            (5e-324, "5e-324"),
            // In the middle of two decimals, of which only the odd one is inside.
            (2_f64.powi(-24), "5.960464477539063e-08"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        ] {
            let mut out = Vec::new();
            print8(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn every_decimal_comes_back() {
        let mut bits = 0x1234_5678_9ABC_DEF0_u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = f64::from_bits(bits);
            let mut out = Vec::new();
            print8(value, &mut out);
            let back: f64 = String::from_utf8(out).unwrap().parse().unwrap();
            assert!(back.to_bits() == value.to_bits() || value.is_nan());
        }
    }
}

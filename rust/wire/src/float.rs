//! `float8`, and `float4` by way of the decimal that PostgreSQL prints for it.
//!
//! Python has no single precision. Read as text, `1.1::float4` is the shortest decimal
//! that identifies it, 1.1, and so must it be here: not 1.10000002384185791015625.

use crate::reader::{exactly, Malformed};
use crate::shortest::shortest4;

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
    let shortest = shortest4(value.abs()).and_then(|decimal| decimal.parse());
    let magnitude = shortest.unwrap_or(wide.abs());
    magnitude.copysign(wide)
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
        assert_eq!(float4(&[0x80, 0, 0, 0]).unwrap().to_bits(), (-0.0_f64).to_bits());
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

//! Hexadecimal digits.

/// By byte: the digit's value, or [`NONE`].
const VALUES: [u8; 256] = values();
const NONE: u8 = 0xFF;

const fn values() -> [u8; 256] {
    let mut values = [NONE; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit] as usize] = digit as u8;
        values[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
}

/// The byte that two digits spell.
#[inline]
pub fn byte([high, low]: [u8; 2]) -> Option<u8> {
    let (high, low) = (VALUES[usize::from(high)], VALUES[usize::from(low)]);
    // Only a digit's value fits in four bits.
    ((high | low) < 16).then_some(high << 4 | low)
}

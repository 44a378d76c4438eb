//! Bytes that are printed as hexadecimal digits, as PostGIS prints geometries.

use crate::reader::Malformed;

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// Any bytes, two upper-case digits each.
///
/// # Errors
/// None: the result is that of every function that prints.
pub fn hex(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let nibbles = data.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    out.extend(nibbles.map(|nibble| DIGITS[usize::from(nibble)]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printed;

    #[test]
    fn two_digits_a_byte() {
        assert_eq!(printed(hex, &[0, 1, 0xAF, 0xFF]), "0001AFFF");
        assert_eq!(printed(hex, &[]), "");
    }
}

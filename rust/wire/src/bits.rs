//! `bit` and `varbit`, printed as PostgreSQL prints them.

use crate::reader::{Malformed, Reader};

/// `bit` and `varbit`: the number of bits, then these, the first one highest.
///
/// # Errors
/// [`Malformed`] when there are fewer or more bytes than the bits need.
pub fn bits(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(data);
    let count = reader.count("number of bits", 0)?;
    let bytes = reader.last(count.div_ceil(8))?;
    let bit = |byte: u8, place: u8| b'0' + (byte >> place & 1);
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(|place| bit(*byte, place)));
    out.extend(bits.take(count));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printed;

    #[test]
    fn the_last_byte_may_be_begun() {
        assert_eq!(printed(bits, &[0, 0, 0, 0]), "");
        assert_eq!(printed(bits, &[0, 0, 0, 8, 0xA5]), "10100101");
        assert_eq!(printed(bits, &[0, 0, 0, 9, 0xFF, 0x80]), "111111111");
        assert!(bits(&[0, 0, 0, 9, 0xFF], &mut Vec::new()).is_err());
        assert!(bits(&[0xFF; 4], &mut Vec::new()).is_err());
    }
}

//! `macaddr` and `macaddr8`, printed as PostgreSQL prints them.

use crate::reader::{exactly, Malformed};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// `macaddr`.
///
/// # Errors
/// [`Malformed::Length`].
pub fn macaddr(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    colons(&exactly::<6>(data)?, out);
    Ok(())
}

/// `macaddr8`.
///
/// # Errors
/// [`Malformed::Length`].
pub fn macaddr8(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    colons(&exactly::<8>(data)?, out);
    Ok(())
}

fn colons(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            out.push(b':');
        }
        let nibbles = [byte >> 4, byte & 0xF];
        out.extend(nibbles.map(|nibble| DIGITS[usize::from(nibble)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printed;

    #[test]
    fn six_or_eight_bytes() {
        assert_eq!(printed(macaddr, &[8, 0, 0x2B, 1, 2, 3]), "08:00:2b:01:02:03");
        assert_eq!(printed(macaddr8, &[0xFF; 8]), "ff:ff:ff:ff:ff:ff:ff:ff");
        assert!(macaddr(&[0; 8], &mut Vec::new()).is_err());
        assert!(macaddr8(&[0; 6], &mut Vec::new()).is_err());
    }
}

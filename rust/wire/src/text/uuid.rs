//! `uuid`.

use super::hex;
use crate::reader::exactly;
use crate::Malformed;

/// `uuid`: groups of 8, 4, 4, 4 and 12 hexadecimal digits.
///
/// # Errors
/// [`Malformed::Text`].
#[inline]
pub fn uuid(data: &[u8]) -> Result<[u8; 16], Malformed> {
    parse(data).ok_or(Malformed::Text("a UUID as 8-4-4-4-12 hexadecimal digits"))
}

#[inline]
fn parse(data: &[u8]) -> Option<[u8; 16]> {
    /// Where the two digits of each byte stand.
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let text: [u8; 36] = exactly(data).ok()?;
    if [8, 13, 18, 23].into_iter().any(|place| text[place] != b'-') {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, place) in bytes.iter_mut().zip(PLACES) {
        *byte = hex::byte([text[place], text[place + 1]])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::refused;

    #[test]
    fn sixteen_bytes_in_order() {
        let bytes = uuid(b"00010203-0405-0607-0809-0a0b0c0dfeff").unwrap();
        assert_eq!(bytes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 254, 255]);
    }

    #[test]
    fn nonsense_is_refused() {
        refused(
            uuid,
            &[
                b"",
                b"00010203-0405-0607-0809-0a0b0c0dfef",
                b"00010203-0405-0607-0809-0a0b0c0dfeff0",
                b"000102030405-0607-0809-0a0b0c0dfeff00",
                b"0001020x-0405-0607-0809-0a0b0c0dfeff",
                b"00010203-0405-0607-0809-0a0b0c0dfe-f",
            ],
        );
    }
}

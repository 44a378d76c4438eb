//! `tsvector`, printed as PostgreSQL prints it.

use crate::reader::{Malformed, Reader};

/// `tsvector`: lexemes, each with its positions.
///
/// # Errors
/// [`Malformed`] when there are fewer or more bytes than the lexemes need.
pub fn tsvector(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(data);
    // A final zero and the number of positions at least.
    let count = reader.count("lexemes", 3)?;
    for index in 0..count {
        if index > 0 {
            out.push(b' ');
        }
        quote(reader.string()?, out);
        for index in 0..reader.u16()? {
            out.push(if index > 0 { b',' } else { b':' });
            position(reader.u16()?, out);
        }
    }
    reader.end()
}

/// The two highest bits are the weight; D, the least, is not printed.
fn position(packed: u16, out: &mut Vec<u8>) {
    out.extend_from_slice((packed & 0x3FFF).to_string().as_bytes());
    match packed >> 14 {
        3 => out.push(b'A'),
        2 => out.push(b'B'),
        1 => out.push(b'C'),
        _ => (),
    }
}

/// A lexeme in quotes, with quotes and backslashes doubled.
pub(crate) fn quote(lexeme: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    for byte in lexeme {
        if matches!(byte, b'\'' | b'\\') {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printed;

    #[test]
    fn lexemes_and_positions() {
        let data = b"\0\0\0\x02a'\\\0\0\0b\0\0\x02\0\x01\xC0\x02";
        assert_eq!(printed(tsvector, data), r"'a''\\' 'b':1,2A");
        assert_eq!(printed(tsvector, b"\0\0\0\0"), "");
        assert!(tsvector(b"\0\0\0\x01ab\0", &mut Vec::new()).is_err());
        assert!(tsvector(b"\0\0\0\x01abc", &mut Vec::new()).is_err());
        assert!(tsvector(b"\0\0\0\0x", &mut Vec::new()).is_err());
    }
}

//! `bytea`, in either `bytea_output`.

use super::hex;
use crate::Malformed;

const EXPECTED: Malformed = Malformed::Text("bytes as \\x and hexadecimal digits, or escaped");

/// The text of a `bytea`, whose length is known.
#[derive(Clone, Copy, Debug)]
pub struct Bytea<'a> {
    form: Form<'a>,
    length: usize,
}

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    Hex(&'a [u8]),
    /// A backslash is doubled, what cannot be printed is a backslash and three octal
    /// digits.
    Escaped(&'a [u8]),
}

/// `bytea`.
///
/// # Errors
/// [`Malformed::Text`].
#[inline]
pub fn bytea(data: &[u8]) -> Result<Bytea<'_>, Malformed> {
    if let Some(digits) = data.strip_prefix(b"\\x") {
        let (length, form) = (digits.len() / 2, Form::Hex(digits));
        return Ok(Bytea { form, length });
    }
    let length = unescape(data, |_, _| ()).ok_or(EXPECTED)?;
    let form = Form::Escaped(data);
    Ok(Bytea { form, length })
}

impl Bytea<'_> {
    /// How many bytes [`Bytea::write`] needs.
    #[inline]
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Write the bytes to the front of `out`.
    ///
    /// # Errors
    /// [`Malformed::Text`], also when `out` is too short.
    #[inline]
    pub fn write(&self, out: &mut [u8]) -> Result<(), Malformed> {
        let out = out.get_mut(..self.length).ok_or(EXPECTED)?;
        match self.form {
            Form::Hex(digits) => write_hex(digits, out),
            Form::Escaped(data) => unescape(data, |index, byte| out[index] = byte).map(|_| ()),
        }
        .ok_or(EXPECTED)
    }
}

fn write_hex(digits: &[u8], out: &mut [u8]) -> Option<()> {
    let (pairs, odd) = digits.as_chunks::<2>();
    for (place, pair) in out.iter_mut().zip(pairs) {
        *place = hex::byte(*pair)?;
    }
    odd.is_empty().then_some(())
}

/// Hand each byte to `put`, with its index; return how many there are.
fn unescape(mut data: &[u8], mut put: impl FnMut(usize, u8)) -> Option<usize> {
    let mut count = 0;
    while let Some((&first, rest)) = data.split_first() {
        let (byte, rest) = if first == b'\\' { escaped(rest)? } else { (first, rest) };
        put(count, byte);
        count += 1;
        data = rest;
    }
    Some(count)
}

/// What follows a backslash, and the rest.
fn escaped(data: &[u8]) -> Option<(u8, &[u8])> {
    match data {
        [b'\\', rest @ ..] => Some((b'\\', rest)),
        [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
            Some(((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8]) -> Result<Vec<u8>, Malformed> {
        let text = bytea(data)?;
        let mut out = vec![0; text.length()];
        text.write(&mut out).map(|()| out)
    }

    #[test]
    fn every_byte_in_both_forms() {
        for byte in 0..=u8::MAX {
            let hex = format!("\\x{byte:02x}00");
            assert_eq!(read(hex.as_bytes()), Ok(vec![byte, 0]));
            let escaped = match byte {
                b'\\' => "\\\\".to_owned(),
                0x20..0x7F => char::from(byte).to_string(),
                _ => format!("\\{byte:03o}"),
            };
            assert_eq!(read(format!("a{escaped}").as_bytes()), Ok(vec![b'a', byte]));
        }
        assert_eq!(read(b""), Ok(vec![]));
        assert_eq!(read(b"\\x"), Ok(vec![]));
        assert_eq!(read(b"\\xABcd"), Ok(vec![0xAB, 0xCD]));
    }

    #[test]
    fn nonsense_is_refused() {
        for data in [&b"\\x0"[..], b"\\x0g", b"\\x000", b"\\", b"\\12", b"\\400", b"a\\"] {
            assert_eq!(read(data), Err(EXPECTED));
        }
        assert_eq!(bytea(b"\\x0000").unwrap().write(&mut [0]), Err(EXPECTED));
    }
}

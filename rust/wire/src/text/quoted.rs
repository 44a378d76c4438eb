//! Strings in double quotes, inside of arrays, ranges and hstores.

use std::borrow::Cow;

/// A string in quotes at the front of `data`, and what follows it.
///
/// A backslash stands before a character that means itself; ranges double instead.
#[inline]
pub fn quoted(data: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let inside = data.strip_prefix(b"\"")?;
    let (plain, rest) = inside.split_at(special(inside)?);
    match rest {
        [b'"', b'"', ..] | [b'\\', ..] => escaped(inside),
        _ => Some((Cow::Borrowed(plain), rest.get(1..)?)),
    }
}

fn special(data: &[u8]) -> Option<usize> {
    data.iter().position(|byte| matches!(byte, b'"' | b'\\'))
}

fn escaped(mut data: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut text = Vec::with_capacity(data.len());
    loop {
        let (plain, rest) = data.split_at(special(data)?);
        text.extend_from_slice(plain);
        match rest {
            [b'\\', byte, rest @ ..] | [b'"', byte @ b'"', rest @ ..] => {
                text.push(*byte);
                data = rest;
            }
            [b'"', rest @ ..] => return Some((Cow::Owned(text), rest)),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::refused;

    #[test]
    fn escaped_and_doubled() {
        for (data, text, rest) in [
            (&b"\"\""[..], &b""[..], &b""[..]),
            (b"\"a b\",c", b"a b", b",c"),
            (b"\"a\\\"b\\\\\"}", b"a\"b\\", b"}"),
            (b"\"a\"\"b\\\\\")", b"a\"b\\", b")"),
        ] {
            assert_eq!(quoted(data), Some((Cow::Borrowed(text), rest)));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        refused(
            |data| quoted(data).ok_or(()),
            &[b"", b"a", b"\"", b"\"a", b"\"a\\", b"\"a\\\"", b"\"a\"\""],
        );
    }
}

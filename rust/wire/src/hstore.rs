//! `hstore`: keys and values, some of them NULL.

use crate::reader::{Malformed, Reader};

/// The pairs of an `hstore`, in the order in which the server prints them too.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    reader: Reader<'a>,
    left: usize,
}

/// A key and its value.
pub type Pair<'a> = (&'a [u8], Option<&'a [u8]>);

/// `hstore`.
///
/// # Errors
/// [`Malformed`] when there are fewer bytes than so many pairs need.
pub fn hstore(data: &[u8]) -> Result<Pairs<'_>, Malformed> {
    let mut reader = Reader::new(data);
    // Two lengths at least.
    let left = reader.count("pairs of an hstore", 8)?;
    Ok(Pairs { reader, left })
}

impl<'a> Pairs<'a> {
    /// The next pair, `None` after the last.
    ///
    /// # Errors
    /// [`Malformed`] for a key that is NULL, or bytes that are missing or left over.
    #[inline]
    pub fn next_pair(&mut self) -> Result<Option<Pair<'a>>, Malformed> {
        if self.left == 0 {
            self.reader.end()?;
            return Ok(None);
        }
        self.left -= 1;
        let key = self.reader.value()?.ok_or(Malformed::Field {
            name: "length of a key",
            expected: "from 0",
            got: -1,
        })?;
        Ok(Some((key, self.reader.value()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_nulls() {
        let data = b"\0\0\0\x02\0\0\0\x01a\0\0\0\x01b\0\0\0\0\xff\xff\xff\xff";
        let mut pairs = hstore(data).unwrap();
        assert_eq!(pairs.next_pair(), Ok(Some((&b"a"[..], Some(&b"b"[..])))));
        assert_eq!(pairs.next_pair(), Ok(Some((&b""[..], None))));
        assert_eq!(pairs.next_pair(), Ok(None));
    }

    #[test]
    fn keys_are_never_null() {
        let data = b"\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff";
        assert!(hstore(data).unwrap().next_pair().is_err());
        assert!(hstore(b"\0\0\0\x01").is_err());
        assert!(hstore(b"\0\0\0\0x").unwrap().next_pair().is_err());
    }
}

//! Numbers that PostgreSQL keeps its own books with: transactions, rows, the log.

use crate::array::array;
use crate::reader::{exactly, Malformed, Reader};
use crate::scalar;
use std::io::Write;

/// `xid` and `cid`.
///
/// # Errors
/// [`Malformed::Length`].
pub fn xid(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    print(out, format_args!("{}", scalar::oid(data)?));
    Ok(())
}

/// `xid8`.
///
/// # Errors
/// [`Malformed::Length`].
pub fn xid8(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    print(out, format_args!("{}", exactly(data).map(u64::from_be_bytes)?));
    Ok(())
}

/// `tid`: a block, and a row in it.
///
/// # Errors
/// [`Malformed`] unless there are six bytes.
pub fn tid(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(data);
    let (block, row) = (reader.u32()?, reader.u16()?);
    reader.end()?;
    print(out, format_args!("({block},{row})"));
    Ok(())
}

/// `pg_lsn`: a place in the log.
///
/// # Errors
/// [`Malformed`] unless there are eight bytes.
pub fn pg_lsn(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(data);
    let (high, low) = (reader.u32()?, reader.u32()?);
    reader.end()?;
    print(out, format_args!("{high:X}/{low:X}"));
    Ok(())
}

/// `int2vector`, an array in disguise.
///
/// # Errors
/// [`Malformed`] as for an array, or for NULL in it.
pub fn int2vector(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    vector(data, 21, out, |element| scalar::int2(element).map(i64::from))
}

/// `oidvector`.
///
/// # Errors
/// As [`int2vector`].
pub fn oidvector(data: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    vector(data, 26, out, |element| scalar::oid(element).map(i64::from))
}

fn vector(
    data: &[u8],
    oid: u32,
    out: &mut Vec<u8>,
    read: impl Fn(&[u8]) -> Result<i64, Malformed>,
) -> Result<(), Malformed> {
    let array = array(data, oid)?;
    let mut elements = array.elements();
    for index in 0..array.lengths().iter().product::<usize>() * array.lengths().len().min(1) {
        let space = if index > 0 { " " } else { "" };
        let number = read(elements.value()?.unwrap_or_default())?;
        print(out, format_args!("{space}{number}"));
    }
    elements.end()
}

fn print(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printed;

    #[test]
    fn numbers_have_no_sign() {
        assert_eq!(printed(xid, &[0xFF; 4]), "4294967295");
        assert_eq!(printed(xid8, &[0xFF; 8]), "18446744073709551615");
        assert_eq!(printed(tid, &[0, 0, 0, 7, 0, 9]), "(7,9)");
        assert_eq!(printed(pg_lsn, &[0, 0, 0, 0x16, 0, 0xAB, 1, 0]), "16/AB0100");
        assert!(tid(&[0; 7], &mut Vec::new()).is_err());
        assert!(pg_lsn(&[0; 7], &mut Vec::new()).is_err());
    }

    #[test]
    fn vectors_have_spaces() {
        let header = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 21, 0, 0, 0, 2, 0, 0, 0, 0];
        let elements = [0, 0, 0, 2, 0, 7, 0, 0, 0, 2, 0xFF, 0xFF];
        let data = [&header[..], &elements[..]].concat();
        assert_eq!(printed(int2vector, &data), "7 -1");
        assert_eq!(printed(int2vector, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 21]), "");
        assert!(oidvector(&data, &mut Vec::new()).is_err());
    }
}

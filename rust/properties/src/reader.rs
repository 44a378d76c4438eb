//! The reader against a plain index into the bytes.

use wire::{Malformed, Reader};

/// The first byte says how many of the following are calls; the rest is the value.
pub fn any_bytes(data: &[u8]) {
    let Some((&count, data)) = data.split_first() else {
        return;
    };
    let (calls, value) = data.split_at(usize::from(count).min(data.len()));
    let mut reader = Reader::new(value);
    let mut position = 0;
    for call in calls {
        let size = [1, 2, 2, 4, 4][usize::from(call % 5)];
        let got = match call % 5 {
            0 => reader.u8().map(i64::from),
            1 => reader.u16().map(i64::from),
            2 => reader.i16().map(i64::from),
            3 => reader.u32().map(i64::from),
            _ => reader.i32().map(i64::from),
        };
        let expected = value
            .get(position..position + size)
            .map(|field| number(field, matches!(call % 5, 2 | 4)))
            .ok_or(Malformed::Short { expected: position + size, got: value.len() });
        assert_eq!(got, expected);
        position += if got.is_ok() { size } else { 0 };
        the_rest(reader, &value[position..], usize::from(call / 5));
    }
}

fn number(field: &[u8], signed: bool) -> i64 {
    let fill = if signed && field[0] > 0x7F { -1 } else { 0 };
    field.iter().fold(fill, |sum, byte| sum << 8 | i64::from(*byte))
}

fn the_rest(reader: Reader<'_>, rest: &[u8], length: usize) {
    match reader.last(length) {
        Ok(last) => assert_eq!((last, last.len()), (rest, length)),
        Err(Malformed::Length { expected, got }) => {
            assert_eq!(expected.abs_diff(got), length.abs_diff(rest.len()));
        }
        Err(other) => panic!("unexpected: {other}"),
    }
    let mut bytes = reader;
    assert_eq!(bytes.bytes(length).ok(), rest.get(..length));
    let mut values = reader;
    if let Ok(value) = values.value() {
        let expected = i32::from_be_bytes(*rest.first_chunk().unwrap());
        let got = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
        assert_eq!(got, expected);
    }
    let mut strings = reader;
    let string = rest.split(|byte| *byte == 0).next();
    let expected = string.filter(|string| string.len() < rest.len());
    assert_eq!(strings.string().ok(), expected);
}

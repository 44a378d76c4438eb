//! One number or one string: written again, it is the bytes it came from.

use wire::scalar;

pub fn any_bytes(data: &[u8]) {
    whole(data, 1, scalar::boolean(data).map(|value| value == (data[0] != 0)));
    number(data, scalar::int2(data).map(i16::to_be_bytes));
    number(data, scalar::int4(data).map(i32::to_be_bytes));
    number(data, scalar::int8(data).map(i64::to_be_bytes));
    number(data, scalar::oid(data).map(u32::to_be_bytes));
    number(data, scalar::uuid(data));
    whole(data, 1, scalar::char(data).map(|value| byte(value) == data[0]));
    assert_eq!(scalar::jsonb(data).ok(), data.strip_prefix(&[1]));
}

fn number<const SIZE: usize>(data: &[u8], read: Result<[u8; SIZE], wire::Malformed>) {
    whole(data, SIZE, read.map(|bytes| bytes == data));
}

/// Read if it has `size` bytes and not otherwise, and the same when written again.
fn whole(data: &[u8], size: usize, same: Result<bool, wire::Malformed>) {
    assert_eq!(same.ok(), (data.len() == size).then_some(true));
}

fn byte(value: scalar::Char) -> u8 {
    match value {
        scalar::Char::Empty => 0,
        scalar::Char::Ascii(byte) => byte,
        scalar::Char::Octal([_, digits @ ..]) => {
            digits.iter().fold(0, |sum, digit| sum * 8 + (digit - b'0'))
        }
    }
}

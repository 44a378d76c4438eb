//! One number or one string: written again, it is the bytes it came from.

use wire::scalar;

pub fn any_bytes(data: &[u8]) {
    whole(
        data,
        1,
        scalar::boolean(data).map(|value| value == (data[0] != 0)),
    );
    whole(
        data,
        2,
        scalar::int2(data).map(|value| value.to_be_bytes() == data),
    );
    whole(
        data,
        4,
        scalar::int4(data).map(|value| value.to_be_bytes() == data),
    );
    whole(
        data,
        8,
        scalar::int8(data).map(|value| value.to_be_bytes() == data),
    );
    whole(
        data,
        4,
        scalar::oid(data).map(|value| value.to_be_bytes() == data),
    );
    whole(data, 16, scalar::uuid(data).map(|value| value == data));
    whole(
        data,
        1,
        scalar::char(data).map(|value| byte(value) == data[0]),
    );
    assert_eq!(scalar::jsonb(data).ok(), data.strip_prefix(&[1]));
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

//! Types that are only printed: what the text says is what the bytes say.

use wire::{bits, geometry, hex, macaddr, scalar, system, Malformed};

type Print = fn(&[u8], &mut Vec<u8>) -> Result<(), Malformed>;

#[allow(clippy::cast_possible_truncation)]
pub fn any_bytes(data: &[u8]) {
    bit_by_bit(data);
    two_digits_a_byte(data);
    for print in [macaddr::macaddr as Print, macaddr::macaddr8] {
        if let Some(bytes) = numbers(print, data, 16, |byte| byte as u8) {
            assert_eq!(bytes, data);
        }
    }
    if let Some(ids) = numbers(system::tid, data, 10, |number| number) {
        let (block, row) = (ids[0] as u32, ids[1] as u16);
        assert_eq!([&block.to_be_bytes()[..], &row.to_be_bytes()].concat(), data);
    }
    if let Some(halves) = numbers(system::pg_lsn, data, 16, |half| half as u32) {
        assert_eq!(halves.into_iter().flat_map(u32::to_be_bytes).collect::<Vec<_>>(), data);
    }
    for print in [system::xid as Print, system::xid8] {
        if let Some(number) = numbers(print, data, 10, |number| number) {
            assert!(number[0].to_be_bytes().ends_with(data));
        }
    }
    for (print, header) in SHAPES {
        shape(*print, data, *header);
    }
    for print in [system::int2vector as Print, system::oidvector] {
        text(print, data);
    }
    let _ = scalar::jsonpath(data, &mut Vec::new());
}

/// With the bytes in front of the numbers.
const SHAPES: &[(Print, usize)] = &[
    (geometry::point, 0),
    (geometry::lseg, 0),
    (geometry::rectangle, 0),
    (geometry::line, 0),
    (geometry::circle, 0),
    (geometry::path, 5),
    (geometry::polygon, 4),
];

fn text(print: Print, data: &[u8]) -> Option<String> {
    let mut out = b"before".to_vec();
    print(data, &mut out).ok()?;
    let text = String::from_utf8(out).unwrap();
    assert!(text.is_ascii());
    Some(text.strip_prefix("before").unwrap().to_owned())
}

/// The numbers in the text.
fn numbers<T>(print: Print, data: &[u8], radix: u32, make: fn(u64) -> T) -> Option<Vec<T>> {
    let text = text(print, data)?;
    let words = text.split(|sign: char| !sign.is_digit(radix));
    let words = words.filter(|word| !word.is_empty());
    let parse = |word| u64::from_str_radix(word, radix).unwrap();
    Some(words.map(|word| make(parse(word))).collect())
}

/// As PostGIS prints a geometry.
fn two_digits_a_byte(data: &[u8]) {
    let digits = text(hex::hex, data).unwrap();
    let (pairs, odd) = digits.as_bytes().as_chunks::<2>();
    let parse = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
    let read: Vec<u8> = pairs.iter().map(|pair| parse(pair).unwrap()).collect();
    assert!(read == data && odd.is_empty());
    assert_eq!(digits, digits.to_uppercase());
}

fn bit_by_bit(data: &[u8]) {
    let Some(text) = text(bits::bits, data) else {
        return;
    };
    let (count, bytes) = data.split_first_chunk().unwrap();
    assert_eq!(text.len(), u32::from_be_bytes(*count) as usize);
    for (place, sign) in text.bytes().enumerate() {
        assert_eq!(sign - b'0', bytes[place / 8] >> (7 - place % 8) & 1);
    }
}

fn shape(print: Print, data: &[u8], header: usize) {
    let Some(text) = text(print, data) else {
        return;
    };
    let words = text.split(|sign| "()[]{}<>,".contains(sign));
    let words = words.filter(|word| !word.is_empty());
    let read: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
    let (sent, odd) = data[header..].as_chunks::<8>();
    assert_eq!((read.len(), odd.len()), (sent.len(), 0));
    for (read, sent) in read.into_iter().zip(sent) {
        let sent = f64::from_be_bytes(*sent);
        assert!(read.to_bits() == sent.to_bits() || (read.is_nan() && sent.is_nan()));
    }
}

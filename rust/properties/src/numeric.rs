//! `numeric`: what is printed, sent again, is printed the same; the fast paths agree.

use wire::numeric::{append, numeric, Numeric};

pub fn any_bytes(data: &[u8]) {
    let Ok(Numeric::Finite(value)) = numeric(data) else {
        return;
    };
    let text = value.print();
    let (integer, fraction) = parts(&text);
    assert_eq!(fraction.len(), usize::from(value.scale));
    assert_eq!(text.starts_with('-'), value.negative);
    let unscaled = || format!("0{integer}{fraction}").parse::<u128>();
    if let Some(number) = value.medium() {
        assert_eq!(Ok(number), unscaled());
        let mut appended = Vec::new();
        let exponent = -i32::from(value.scale);
        assert!(append(value.negative, number, exponent, &mut appended));
        assert_eq!(appended, encode(value.negative, integer, fraction));
    }
    if let Some(number) = value.small() {
        assert_eq!(Ok(number.into()), unscaled());
        assert!(number < 10_u64.pow(19));
    }
    let sent = encode(value.negative, integer, fraction);
    let Ok(Numeric::Finite(again)) = numeric(&sent) else {
        panic!("{text} is not read again: {sent:?}");
    };
    assert_eq!(parts(&again.print()), (integer, fraction));
    assert_eq!(again.negative, value.negative);
}

/// The digits before and behind the point, without leading zeros.
fn parts(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches('-');
    let (integer, fraction) = text.split_once('.').unwrap_or((text, ""));
    (integer.trim_start_matches('0'), fraction)
}

/// As PostgreSQL sends it: groups of four digits from the point on, no zero ones at the
/// ends.
fn encode(negative: bool, integer: &str, fraction: &str) -> Vec<u8> {
    let before = integer.len().div_ceil(4);
    let aligned = "0".repeat(4 * before - integer.len()) + integer + fraction;
    let mut groups: Vec<u16> = aligned
        .as_bytes()
        .chunks(4)
        .map(|group| (0..4).fold(0, |sum, i| 10 * sum + digit(group.get(i))))
        .collect();
    let behind = groups.len() - before;
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    let weight = i32::try_from(groups.len()).unwrap() - i32::try_from(behind).unwrap() - 1;
    let weight = if groups.is_empty() { 0 } else { weight };
    let weight = i16::try_from(weight).unwrap();
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let count = u16::try_from(groups.len()).unwrap();
    let sign = if negative { 0x4000 } else { 0 };
    let scale = u16::try_from(fraction.len()).unwrap();
    let header = [count, weight.cast_unsigned(), sign, scale];
    let words = header.into_iter().chain(groups);
    words.flat_map(u16::to_be_bytes).collect()
}

fn digit(byte: Option<&u8>) -> u16 {
    u16::from(byte.map_or(0, |byte| byte - b'0'))
}

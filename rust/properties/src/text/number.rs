//! Numbers as the standard library reads them.

use std::fmt::{Debug, Display};
use wire::text::number::{boolean, float, int2, int4, int8, numeric, oid, Numeric, Short};

pub fn any_bytes(data: &[u8]) {
    let text = str::from_utf8(data).unwrap_or("");
    integer(text, int2(data).ok());
    integer(text, int4(data).ok());
    integer(text, int8(data).ok());
    integer(text, oid(data).ok());
    assert!(boolean(data).is_err() || matches!(data, b"t" | b"f"));
    if let Ok(value) = float(data) {
        let again = float(format!("{value:e}").as_bytes());
        assert_eq!(again.map(f64::to_bits), Ok(value.to_bits()));
    }
    match numeric(data) {
        Ok(Numeric::Short(value)) => short(text, value),
        Ok(Numeric::Other(other)) => assert_eq!(other, text),
        Err(_) => assert_ne!(text.parse::<i128>().ok().map(|n| n.to_string()), Some(text.into())),
    }
}

/// Read as the standard library does, and whatever is printed like this is read.
fn integer<T>(text: &str, value: Option<T>)
where
    T: Copy + Debug + Display + PartialEq + TryFrom<i64>,
{
    let expected = text.parse::<i64>().ok();
    let expected = expected.and_then(|number| T::try_from(number).ok());
    let printed = expected.is_some_and(|number| number.to_string() == text);
    assert!(value == expected || (value.is_none() && !printed), "{value:?}");
}

fn short(text: &str, value: Short) {
    let digits: String = text.bytes().filter(u8::is_ascii_digit).map(char::from).collect();
    let [low, high] = value.words;
    let radix = 10_u64.pow(19);
    assert!(low < radix && high < radix);
    let number = u128::from(high) * u128::from(radix) + u128::from(low);
    assert_eq!(Ok(number), digits.parse());
    assert_eq!(value.negative, text.starts_with('-'));
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    assert_eq!(usize::from(value.scale), fraction.len());
}
